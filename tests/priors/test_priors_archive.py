"""An archive that does not answer costs no report, whichever way leads to it."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from analysed import BEFORE, NOW, Site, image
from made import SECRET
from ports import free_port
from priors_cases import BASIS, find, section, ways
from worded import said

from xrv_node.db.store import Store
from xrv_node.priors import archive
from xrv_node.priors.subject import subject_of
from xrv_node.spool import Spool


@pytest.mark.parametrize("way", [0, 1])
def test_an_archive_that_is_not_there_is_named(way: int) -> None:
    port = free_port()
    with pytest.raises(archive.DestinationError, match=rf"the archive .*{port}.* cannot be "):
        find(ways(port)[way])


@pytest.mark.parametrize("way", [0, 1])
def test_an_archive_that_says_nothing_is_not_waited_for(way: int, store: Store, spool: Spool) -> None:
    site = Site(store, spool)
    site.analyse(image(1, BEFORE))
    site.analyse(image(9, NOW))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        made = site.report(9, timeout_seconds=0.3, **ways(silent.getsockname()[1])[way])
    assert len(made) == 1
    assert [e["priors"][0]["study"] for e in site.events("study.reported")] == ["1.2.3.1"]
    (event,) = site.events("priors.unavailable")
    assert "the archive " in said(event["why"])
    assert SECRET not in str(event)


def test_a_patient_id_with_a_wildcard_is_not_asked_for() -> None:
    subject = subject_of([image(9, NOW, PatientID="4*")])
    assert subject is not None
    assert archive.find(section(ways(1)[0]), "XRVNODE", subject, BASIS, ()) == []


def test_the_log_of_a_search_names_no_patient(tmp_path: Path) -> None:
    file = tmp_path / "image.dcm"
    image(9, NOW).save_as(file, enforce_file_format=True)
    program = f"""
from pathlib import Path
from xrv_node import log
from xrv_node.errors import DestinationError
from xrv_node.priors import archive
from xrv_node.priors.subject import Basis, subject_of
from xrv_node.radiograph.header import read_header
from xrv_node.settings import LogSection, Settings
log.configure(LogSection(level="debug"), "test")
subject = subject_of([read_header(Path({str(file)!r}))])
for way in {ways(9)}:
    try:
        archive.find(Settings(priors=way).priors, "XRVNODE", subject, Basis("0" * 64, "linear"), ())
    except DestinationError as error:
        print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2
    assert SECRET not in done.stdout + done.stderr
