"""What a radiologist sees: a study with all kinds of results in OHIF, on an archive, in a browser."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import peer_archives
import peer_objects
import peer_viewer
import peer_worked
import playwright
import pytest
from peer_node import command
from peer_programs import HOST, find, missing, program

from xrv_node import report
from xrv_node.report.phrases import say
from xrv_node.result_kinds import KINDS
from xrv_node.settings.destinations import DestinationSection

pytestmark = [pytest.mark.peers, pytest.mark.slow]

OPENS = {
    # kind: what must be seen once its series is open
    "report": lambda seen: say("notice", "en").split(".")[0] in seen.text and "82/100" in seen.text,
    "sr": lambda seen: len(seen.annotations) >= len(peer_worked.PEAKS),
    "seg": lambda seen: (
        len(seen.segments) == len(peer_worked.ELLIPSES) and all(s["pixels"] for s in seen.segments)
    ),
    "sc": lambda seen: seen.lit > 0.05 and seen.coloured > 0.001,
    "pm": lambda seen: seen.coloured > 0.001,
    "pdf": lambda seen: seen.frames > 0,
}
"""The others OHIF lists and cannot open: `ko` and `gsps` are not supported, `sr-image` has no coordinates."""


DEFAULTS = DestinationSection.model_fields["send"].default
ALL, ORDINARY = 7, 8
"""Two studies: with every kind, and with those that a destination gets unless it says otherwise."""


@dataclass(frozen=True)
class Shown:
    """Two studies in an archive, and a viewer on it."""

    results: dict[int, list[report.Result]]
    files: Path
    """Holds what was sent of the second study."""
    address: str
    browser: peer_viewer.Browser
    pictures: Path


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    if find("Orthanc") is None:
        pytest.skip(missing("Orthanc"))
    program("chromium")
    directory = tmp_path_factory.mktemp("viewer")
    pictures = Path(os.environ.get("XRV_NODE_PICTURES", directory / "pictures"))
    results = {
        number: report.build(peer_worked.study(number)[1], kinds)
        for number, kinds in ((ALL, list(KINDS)), (ORDINARY, DEFAULTS))
    }
    with ExitStack() as stack:
        orthanc = stack.enter_context(peer_archives.orthanc(directory / "orthanc", web=True))
        address = stack.enter_context(
            peer_viewer.viewer(directory / "nginx", peer_viewer.ohif(), orthanc=orthanc.http_port)
        )
        to = f"{orthanc.destination.ae_title}@{HOST}:{orthanc.destination.port}"
        for number, made in results.items():
            sent = [peer_worked.study(number)[0], *(r.dataset for r in made)]
            paths = peer_objects.save(directory / str(number), sent)
            pushed = command("send", *paths, "--to", to, "--calling-ae", peer_archives.SENDER_AE)
            assert pushed.returncode == 0, pushed.stdout
        browser = stack.enter_context(peer_viewer.browsing(address, pictures))
        yield Shown(results, directory / str(ORDINARY), address, browser, pictures)


def test_the_radiograph_stands_there_at_once(shown: Shown) -> None:
    seen = shown.browser.open_study(peer_worked.study(ALL)[1].study_instance_uid, "study")
    assert seen.fine, seen
    assert seen.lit > 0.05


@pytest.mark.parametrize("kind", OPENS)
def test_a_result_opens_and_shows_what_it_says(kind: str, shown: Shown) -> None:
    made = [r.dataset for r in shown.results[ALL] if r.kind == kind]
    assert made
    for dataset in made:
        seen = shown.browser.open_series(
            dataset.StudyInstanceUID,
            dataset.SeriesDescription,
            dataset.SeriesInstanceUID,
            kind,
            OPENS[kind],
        )
        assert seen.fine, seen
        assert OPENS[kind](seen), seen


def test_the_viewer_asked_nobody_else(shown: Shown) -> None:
    assert shown.browser.strangers == []


def test_what_the_viewer_holds_is_what_was_sent(shown: Shown, data: Path, tmp_path: Path) -> None:
    """By scripts of another hand: each series opens, and pixels, coordinates and numbers equal the files'."""
    scripts = data.parent / "peers" / "viewer"
    if not scripts.is_dir():
        pytest.skip(f"the scripts are not at {scripts}")
    driver = Path(playwright.__file__).parent / "driver"
    for name in ("shoot.mjs", "lib.mjs", "compare.py"):
        shutil.copy(scripts / name, tmp_path)
    modules = tmp_path / "node" / "node_modules"
    modules.mkdir(parents=True)
    (modules / "playwright-core").symlink_to(driver / "package")
    environment = os.environ | {"XV_BASE": shown.address, "XV_CHROMIUM": program("chromium")}
    uid = peer_worked.study(ORDINARY)[1].study_instance_uid
    for script in (
        [driver / "node", "shoot.mjs", uid, "study.png"],
        [sys.executable, "compare.py", "study.json", shown.files],
    ):
        ran = subprocess.run(
            script, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=280, check=False
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
