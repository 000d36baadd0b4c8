"""Options that take one word of a few refuse any other, and say which there are; every option is looked at."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from in_process import told
from test_cli_hostile import commands

import xrv_node
from xrv_node.db.event_names import EVENTS
from xrv_node.db.store import Store

IMAGE, NIH = "image.png", "nih"
NETWORK = {"--weights": "densenet121-res224-all", "--resampler": "antialias", "--device": "auto"}
LABELS = "phantom make out"
CLOSED: dict[tuple[str, str], tuple[str, str]] = {
    ("jobs list", "--state"): ("jobs list", "parked"),
    ("jobs list", "--kind"): ("jobs list", "deliver"),
    ("jobs retry", "--destination"): ("jobs retry", "out"),
    ("studies list", "--state"): ("studies list", "reported"),
    ("fetch list", "--state"): ("fetch list", "parked"),
    ("studies list", "--verdict"): ("studies list", "frontal"),
    ("studies resend", "--kind"): ("studies resend 1.2", "report"),
    ("studies resend", "--to"): ("studies resend 1.2", "out"),
    ("export", "--verdict"): ("export out --deidentify", "frontal"),
    ("export", "--finding"): ("export out --deidentify", "Effusion"),
    ("audit list", "--event"): ("audit list", "instance.received"),
    ("acceptance", "--kind"): ("acceptance", "seg"),
    ("explain", "--method"): (f"explain {IMAGE}", "gradcam"),
    ("classify", "--operating-point"): (f"classify {IMAGE} --commissioning", "ppv80"),
    ("validate", "--write-thresholds"): (f"validate {NIH} --images .", "youden"),
    ("models import", "--name"): (f"models import {IMAGE}", "chestx_det"),
    ("models import", "--like"): (f"models import {IMAGE} --findings Mass", "chexpert"),
    ("train", "--task"): (f"train {NIH} --images . --out o", "multi"),
    ("phantom make", "--view"): (LABELS, "LATERAL"),
    ("phantom make", "--findings"): (LABELS, "Effusion"),
    ("phantom make", "--anatomy"): (LABELS, "a, b"),
    ("phantom make", "--modality"): (LABELS, "CR"),
    ("phantom make", "--photometric"): (LABELS, "MONOCHROME1"),
    ("phantom make", "--grey"): (LABELS, "lut"),
    ("phantom make", "--syntax"): (LABELS, "rle"),
    ("phantom make", "--sender"): (LABELS, "wordy"),
    ("phantom show", "--view"): ("phantom show --seed 1", "LATERAL"),
    ("phantom show", "--findings"): ("phantom show --seed 1", "Effusion"),
    ("phantom show", "--anatomy"): ("phantom show --seed 1", "a, b"),
    **{
        (name, option): (f"{name} {IMAGE} --out o.npz" if name != "classify" else f"{name} {IMAGE}", word)
        for name in ("classify", "segment", "explain", "embed", "reconstruct")
        for option, word in NETWORK.items()
        if not (name in ("embed", "reconstruct") and option == "--weights")
    },
    **{("validate", "--part"): (f"validate {NIH} --images .", "all")},
    **{
        (f"datasets {one}", "--part"): (f"datasets {one} {NIH} .", "all")
        for one in ("stats", "verify", "sample")
    },
    ("datasets to-dicom", "--part"): (f"datasets to-dicom {NIH} . --out o", "all"),
}
"""Command and option, the command line before it, and a word that must be told."""

NAMES = {
    "validate dataset", "train datasets", "datasets list name", "datasets stats name", "datasets verify name",
    "datasets sample name", "datasets to-dicom name", "models pull names", "destinations check names", "alerts test names",
    "archives check names",
    "users passwd name", "users role name", "users remove name", "tokens revoke name",
    "embed --weights", "reconstruct --weights", "validate --weights", "monitor shadow --weights",
}  # fmt: skip
"""Names of a catalogue or the configuration: what is none is refused with those that there are, as ever."""

OPEN = {
    "paths", "identifier", "study_instance_uid", "study_instance_uids", "--study", "--last", "--tester", "--reason", "--node",
    "--through", "--archive", "--archive-pdf", "--through-node", "--receive-host", "--to", "--calling-ae",
    "--thresholds", "--labels", "init --report-skipped", "--name", "--init", "--destination",
    "--accession", "--patient", "--station", "studies list --sender", "export --sender", "users add name", "tokens add name", "--ae-title",
}  # fmt: skip
"""Text that has no list: hosts, people, identifiers, names to be given."""

LATER = {
    "--view", "--structure", "--finding", "--findings", "validate --resampler", "validate --device", "train --device",
}  # fmt: skip
"""Checked against what a dataset or a network has, which is read first; their own tests are in those rooms."""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a node's database and a file that is to be an image."""
    folder = tmp_path_factory.mktemp("here")
    (folder / "node.toml").write_text('[[destinations]]\nname = "out"\nkind = "folder"\npath = "out"\n')
    (folder / IMAGE).write_bytes(b"no image")
    store = Store(f"sqlite:///{folder / 'data' / 'xrv-node.sqlite'}")
    store.migrate()
    store.close()
    return folder


def test_every_option_that_takes_text_is_one_of_these() -> None:
    for whole, command in commands():
        name = whole.partition(" ")[2]
        for one in command.params:
            kind = str(getattr(one.type_descriptor, "annotation", ""))
            if "str" not in kind or getattr(one.type_descriptor, "is_choice", False):
                continue
            option = one.opts[0]
            known = {(name, option)} & CLOSED.keys() or {option, f"{name} {option}"} & (OPEN | LATER | NAMES)
            assert known, f"{name} {option}: a closed set of words, or open text?"


@pytest.mark.parametrize(("command", "option"), CLOSED)
def test_a_word_that_is_none_is_refused_with_those_that_there_are(
    command: str, option: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(here)
    line, word = CLOSED[command, option]
    said = told(*line.split(), option, "bogus", codes=(2,))
    (error,) = [one for one in said.splitlines() if one.startswith("error: ")]
    assert "bogus" in error
    assert word in error


def test_a_study_of_which_the_trail_has_nothing_is_no_empty_list(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(here)
    for command in ("audit list", "audit export", "audit show"):
        assert "the trail has no study 9.9" in told(*command.split(), "--study", "9.9", codes=(2,))


def test_every_event_that_is_recorded_has_a_name_in_the_table() -> None:
    recorded = {name for path in Path(xrv_node.__file__).parent.rglob("*.py") for name in _recorded(path)}
    assert recorded <= EVENTS.keys()
    assert len(recorded) > 20


def _recorded(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in (
            "record",
            "partial",
        ):
            for one in node.args:
                if isinstance(one, ast.Constant) and re.fullmatch(r"[a-z]+\.[a-z_]+", str(one.value)):
                    yield str(one.value)
