"""The SCP over real associations, with pynetdicom as the sender."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from made import CR, SECRET, radiograph
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEG2000Lossless
from pynetdicom import AE, build_role
from pynetdicom.association import Association
from pynetdicom.sop_class import Verification
from serving import wait
from sqlalchemy import select
from worded import said

from xrv_node.db import queries
from xrv_node.db.store import Store
from xrv_node.db.tables import Instance, Study
from xrv_node.errors import ConfigError
from xrv_node.frontal.rules import load_rules
from xrv_node.spool import Spool
from xrv_node.values import STORAGE_COMMITMENT

Listen = Callable[..., int]


@pytest.fixture
def listen(start: Callable[[str], int]) -> Listen:
    """Start receivers with the TOML text given; returns the port."""
    return lambda text="": start(text if "[receive]" in text else text + "\n[receive]\nport = 0\n")


@contextmanager
def association(
    port: int, *, calling: str = "PACS", called: str = "XRVNODE", contexts: list[Any] | None = None
) -> Iterator[Association]:
    ae = AE(ae_title=calling)
    for context in contexts or [(CR, ExplicitVRLittleEndian)]:
        ae.add_requested_context(*context)
    ae.add_requested_context(Verification)
    made = ae.associate("127.0.0.1", port, ae_title=called)
    yield made
    if made.is_established:
        made.release()


def test_echo_and_store_answer_success(listen: Listen, store: Store) -> None:
    with association(listen()) as peer:
        assert peer.send_c_echo().Status == 0
        assert peer.send_c_store(radiograph()).Status == 0
    with store.read() as db:
        assert db.scalars(select(Instance)).one().calling_ae == "PACS"


def test_another_called_title_is_refused_and_the_line_to_change_is_on_record(
    listen: Listen, store: Store
) -> None:
    with association(listen(), called="OTHER") as peer:
        assert not peer.is_established
    event = _refusal(store)
    assert said(event["detail"]["remedy"]) == "it called OTHER, this node is XRVNODE (receive.ae_title)"


def test_a_caller_that_is_not_allowed_is_refused_and_named(listen: Listen, store: Store) -> None:
    port = listen('[receive]\nport = 0\nallowed_calling_ae = ["PACS"]')
    with association(port, calling="STRANGER") as peer:
        assert not peer.is_established
    with association(port) as peer:
        assert peer.is_established
    event = _refusal(store)
    assert said(event["detail"]["remedy"]) == 'add "STRANGER" to receive.allowed_calling_ae'


def test_every_storage_class_is_kept_and_only_radiographs_are_analysed(listen: Listen, store: Store) -> None:
    classes = {
        "1.2.840.10008.5.1.4.1.1.2": "CT",
        "1.2.840.10008.5.1.4.1.1.104.1": "encapsulated PDF",
        "1.2.826.0.1.3680043.9.1.1": "a private class",
        CR: "CR",
    }
    with association(listen(), contexts=[(c, ExplicitVRLittleEndian) for c in classes]) as peer:
        for number, sop_class in enumerate(classes, 1):
            assert peer.send_c_store(radiograph(number, SOPClassUID=sop_class)).Status == 0, sop_class
    with store.read() as db:
        states = {classes[i.sop_class_uid]: i.state for i in db.scalars(select(Instance))}
    assert states == {
        "CT": "skipped",
        "encapsulated PDF": "skipped",
        "a private class": "skipped",
        "CR": "queued",
    }


REFUSE = '[receive]\nport = 0\nother_storage = "refuse"'
OTHERS = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.1.1.1", "1.2.826.0.1.3680043.9.1.1")
"""CT, DX for processing, a private class: never analysed."""


def test_classes_that_are_never_analysed_are_refused_where_so_set(listen: Listen, store: Store) -> None:
    port = listen(REFUSE)
    analysed = sorted(load_rules().sop_classes)
    commitment = build_role(STORAGE_COMMITMENT, scp_role=True)
    ae = AE(ae_title="PACS")
    for sop_class in (*analysed, *OTHERS, STORAGE_COMMITMENT, Verification):
        ae.add_requested_context(sop_class, ExplicitVRLittleEndian)
    peer = ae.associate("127.0.0.1", port, ae_title="XRVNODE", ext_neg=[commitment])
    accepted = {str(c.abstract_syntax) for c in peer.accepted_contexts}
    assert accepted == {*analysed, STORAGE_COMMITMENT, Verification}
    assert {str(c.abstract_syntax): c.result for c in peer.rejected_contexts} == dict.fromkeys(OTHERS, 3)
    assert peer.send_c_echo().Status == 0
    assert peer.send_c_store(radiograph()).Status == 0
    peer.release()
    with store.read() as db:
        assert db.scalars(select(Instance.sop_class_uid)).all() == [CR]


def test_an_object_of_another_class_than_its_context_is_refused_by_its_class(
    listen: Listen, store: Store
) -> None:
    port, other = listen(REFUSE), radiograph(SOPClassUID=OTHERS[0])
    with association(port) as peer:
        peer.accepted_contexts[0].abstract_syntax = UID(OTHERS[0])  # what the sender believes
        assert peer.send_c_store(other).Status == 0x0122
        peer.accepted_contexts[0].abstract_syntax = UID(CR)
        assert peer.send_c_store(radiograph(2)).Status == 0
    with store.read() as db:
        refusal, _ = queries.events(db)
    assert refusal["event"] == "instance.refused"
    assert refusal["detail"]["status"] == "0x0122"
    assert "receive.other_storage" in said(refusal["detail"]["why"])


@pytest.mark.parametrize(("setting", "taken"), [("keep", True), ("refuse", False)])
def test_what_storescu_sends_is_taken_by_the_setting(
    setting: str, taken: bool, listen: Listen, store: Store, tmp_path: Path
) -> None:
    program = shutil.which("storescu") or pytest.skip("storescu is not installed")
    port = listen(f'[receive]\nport = 0\nother_storage = "{setting}"')
    path = tmp_path / "ct.dcm"
    radiograph(SOPClassUID=OTHERS[0]).save_as(path, enforce_file_format=True)
    done = subprocess.run(
        [program, "-v", "-R", "-aec", "XRVNODE", "127.0.0.1", str(port), path],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert ("Received Store Response (Success)" in said) == taken
    assert ("No Acceptable Presentation Contexts" in said) != taken
    with store.read() as db:
        assert len(db.scalars(select(Instance)).all()) == taken


def test_compressed_syntaxes_are_taken_as_they_are(listen: Listen) -> None:
    with association(listen(), contexts=[(CR, JPEG2000Lossless)]) as peer:
        assert [c.transfer_syntax[0] for c in peer.accepted_contexts if c.abstract_syntax == CR] == [
            JPEG2000Lossless
        ]


def test_an_object_that_is_refused_does_not_end_the_association(listen: Listen, store: Store) -> None:
    with association(listen()) as peer:
        assert peer.send_c_store(radiograph(StudyInstanceUID="../../etc/passwd")).Status == 0xC000
        assert peer.send_c_store(radiograph(2)).Status == 0
    with store.read() as db:
        assert [e["event"] for e in queries.events(db)] == ["instance.refused", "instance.received"]


def test_a_path_for_a_uid_on_the_wire_is_refused(listen: Listen, spool: Spool, store: Store) -> None:
    with association(listen()) as peer:
        evil = radiograph()
        evil.SOPInstanceUID = "../../../../tmp/x"
        status = peer.send_c_store(evil)
        assert status.get("Status") != 0
    with association(listen()) as peer:
        assert peer.send_c_store(radiograph()).Status == 0
    assert len([p for p in spool.root.rglob("*.dcm") if p.is_file()]) == 1


def test_a_full_disk_answers_a700(listen: Listen, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    port = listen()
    with association(port) as peer:
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", full)
            assert peer.send_c_store(radiograph()).Status == 0xA700
        assert peer.send_c_store(radiograph()).Status == 0


def test_a_fault_of_ours_answers_0110_without_patient_data(
    listen: Listen, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from xrv_node.log import configure
    from xrv_node.settings import LogSection

    configure(LogSection(), "receiver")

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError(f"cannot do {SECRET}")

    monkeypatch.setattr("xrv_node.receive.intake.accept", broken)
    with association(listen()) as peer:
        assert peer.send_c_store(radiograph()).Status == 0x0110
    captured = capsys.readouterr()
    structlog.reset_defaults()
    assert "RuntimeError" in captured.err
    assert SECRET not in captured.err + captured.out


@pytest.mark.parametrize(("setting", "state"), [("true", "closed"), ("false", "open")])
def test_release_closes_the_study_where_configured(
    listen: Listen, store: Store, setting: str, state: str
) -> None:
    with association(listen(f"[study]\nclose_on_release = {setting}")) as peer:
        peer.send_c_store(radiograph())
    wait(lambda: _state(store) == state, 60, f"the study to be {state}")
    assert _state(store) == state


def test_an_association_that_breaks_off_does_not_close_the_study(listen: Listen, store: Store) -> None:
    with association(listen("[study]\nclose_on_release = true")) as peer:
        peer.send_c_store(radiograph())
        peer.abort()
    assert _state(store) == "open"


def test_garbage_on_the_port_takes_nothing_down(listen: Listen) -> None:
    port = listen()
    for junk in (
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x01\x00\xff\xff\xff\xff" + b"\x00" * 100,
        os.urandom(4096),
        b"",
    ):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(junk)
    with association(port) as peer:
        assert peer.send_c_echo().Status == 0


def test_a_port_that_is_taken_is_named(listen: Listen) -> None:
    port = listen()
    with pytest.raises(ConfigError, match=rf"receive\.port: cannot listen on 127\.0\.0\.1:{port}"):
        listen(f"[receive]\nport = {port}")


def _refusal(store: Store) -> dict[str, Any]:
    """The one refusal on record; it is written after the caller has its answer."""

    def found() -> list[dict[str, Any]]:
        with store.read() as db:
            return list(queries.events(db, event="association.refused"))

    wait(found, 60, "the events")
    (event,) = found()
    return event


def _state(store: Store) -> str:
    with store.read() as db:
        return db.scalars(select(Study.state)).one()
