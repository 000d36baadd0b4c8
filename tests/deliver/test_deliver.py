"""C-STORE to peers that behave and peers that do not."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from deliver_cases import SOP_CLASSES, result
from deliver_peer import Peer, deflated, destination, only
from odd_archive import answering
from pydicom import dcmread
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pynetdicom import evt
from pynetdicom.sop_class import Verification
from worded import said

from xrv_node.deliver import association, scu
from xrv_node.deliver.association import open_to
from xrv_node.deliver.attempt import Outcome, from_status
from xrv_node.deliver.dimse import DimseSender
from xrv_node.deliver.folder import FolderSender
from xrv_node.errors import DestinationError
from xrv_node.settings.destinations import FolderDestination


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (0x0000, Outcome.DELIVERED),
        (0x0111, Outcome.DELIVERED),  # duplicate SOP instance: it is there
        (0xB000, Outcome.WARNING),
        (0xB006, Outcome.WARNING),
        (0xA700, Outcome.TRANSIENT),
        (0xA701, Outcome.TRANSIENT),
        (0x0110, Outcome.TRANSIENT),
        (0xA900, Outcome.REJECTED),
        (0xC123, Outcome.REJECTED),
        (0x0122, Outcome.REJECTED),
        (0x0124, Outcome.REJECTED),
    ],
)
def test_what_a_status_means(tmp_path: Path, peer: Peer, status: int, outcome: Outcome) -> None:
    stored = result(tmp_path)
    assert from_status(stored, status).outcome == outcome
    peer.answer = status
    peer.start()
    attempt = only(DimseSender(destination(peer.port), "XRVNODE").send([stored]))
    assert (attempt.outcome, attempt.status) == (outcome, status)


def test_several_objects_share_one_association_that_is_held(tmp_path: Path, peer: Peer) -> None:
    peer.start()
    sender = DimseSender(destination(peer.port), "XRVNODE")
    results = [result(tmp_path, n) for n in range(1, 4)]
    assert [a.outcome for a in sender.send(results)] == [Outcome.DELIVERED] * 3
    assert only(sender.send([result(tmp_path, 9)])).outcome == Outcome.DELIVERED
    sender.close()
    assert peer.associations == 1
    assert [str(d.SOPInstanceUID) for d in peer.received][:3] == [r.sop_instance_uid for r in results]


def test_only_the_classes_of_its_kinds_are_proposed(peer: Peer) -> None:
    proposed: list[str] = []
    peer.start()
    peer.ae._servers[0].bind(
        evt.EVT_REQUESTED,
        lambda e: proposed.extend(str(c.abstract_syntax) for c in e.assoc.requestor.requested_contexts),
    )
    DimseSender(destination(peer.port, send=["report"]), "XRVNODE").check()
    assert set(proposed) == {SOP_CLASSES["report"], str(Verification)}


def test_a_peer_of_implicit_little_endian_gets_it(tmp_path: Path, peer: Peer) -> None:
    peer.start(SOP_CLASSES["seg"], syntaxes=[[ImplicitVRLittleEndian]])
    assert (
        only(DimseSender(destination(peer.port), "X").send([result(tmp_path)])).outcome == Outcome.DELIVERED
    )
    assert peer.received[0].PixelData == dcmread(result(tmp_path).path).PixelData


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_text_goes_as_it_is_in_every_transfer_syntax(tmp_path: Path, peer: Peer, syntax: UID) -> None:
    """A name whose escape sequences are not needed, which pydicom would write without them."""
    peer.start(SOP_CLASSES["seg"], syntaxes=[[syntax]])
    name = b"M\x1b-A\xfcller^Zo\x1b-A\xeb= "
    stored = deflated(tmp_path, name=name)
    assert only(DimseSender(destination(peer.port), "X").send([stored])).outcome == Outcome.DELIVERED
    assert peer.syntaxes == [syntax.name]
    assert peer.received[0].get_item("PatientName").value == name


DEFLATED, EXPLICIT = [DeflatedExplicitVRLittleEndian], [ExplicitVRLittleEndian]


@pytest.mark.parametrize(
    ("offered", "accepted", "sent"),
    [
        (True, DEFLATED + EXPLICIT, "Deflated Explicit VR Little Endian"),
        (True, EXPLICIT, "Explicit VR Little Endian"),
        (True, [ImplicitVRLittleEndian], "Implicit VR Little Endian"),
        (False, DEFLATED + EXPLICIT, "Explicit VR Little Endian"),
    ],
)
def test_a_deflated_object_goes_as_the_peer_takes_it(
    tmp_path: Path, peer: Peer, offered: bool, accepted: list[UID], sent: str
) -> None:
    peer.start(SOP_CLASSES["seg"], syntaxes=[accepted])
    plain, small = result(tmp_path, 1), deflated(tmp_path, 2)
    sender = DimseSender(destination(peer.port, deflate=offered, send=["seg"]), "XRVNODE")
    assert sender.check()[1] == f"seg: Segmentation Storage: {sent}"
    assert [a.outcome for a in sender.send([plain, small])] == [Outcome.DELIVERED] * 2
    assert peer.syntaxes[1] == sent
    assert peer.received[1].PixelData == dcmread(small.path).PixelData
    assert str(peer.received[1].SOPInstanceUID) == small.sop_instance_uid
    assert (peer.sizes[1] < 0.8 * peer.sizes[0]) == sent.startswith("Deflated")


def test_only_kinds_that_shrink_are_offered_deflated(peer: Peer) -> None:
    peer.start(SOP_CLASSES["seg"], SOP_CLASSES["report"], syntaxes=[DEFLATED + EXPLICIT])
    assert DimseSender(destination(peer.port, deflate=True, send=["report", "seg"]), "X").check()[1:] == [
        "report: Enhanced SR Storage: Explicit VR Little Endian",
        "seg: Segmentation Storage: Deflated Explicit VR Little Endian",
    ]


def test_a_result_that_was_damaged_on_disk_stays_in_the_outbox(tmp_path: Path, peer: Peer) -> None:
    peer.start()
    stored = deflated(tmp_path)
    stored.path.write_bytes(stored.path.read_bytes()[:400] + b"damaged")
    folder = FolderSender(FolderDestination(name="f", path=tmp_path / "out"), "X")
    for sender in (DimseSender(destination(peer.port), "X"), folder):
        attempt = only(sender.send([stored]))
        assert (attempt.outcome, said(attempt.reason)) == (Outcome.TRANSIENT, "our own file: error")
    assert peer.received == []
    assert not list((tmp_path / "out").rglob("*.dcm"))


@pytest.mark.parametrize("accepted", [DEFLATED, EXPLICIT, [ImplicitVRLittleEndian]])
def test_a_deflated_file_can_be_sent_to_any_peer(tmp_path: Path, peer: Peer, accepted: list[UID]) -> None:
    peer.start(SOP_CLASSES["seg"], syntaxes=[accepted])
    stored = deflated(tmp_path)
    to = scu.Peer("ARCHIVE", "127.0.0.1", peer.port)
    (sent,) = scu.send(to, [stored.path], calling_ae="XRVSEND")
    assert (sent.good, sent.says) == (True, "0x0000")
    assert peer.syntaxes == [accepted[0].name]
    assert peer.received[0].PixelData == dcmread(stored.path).PixelData


def test_a_class_that_is_not_accepted_is_rejected_and_the_others_go(tmp_path: Path, peer: Peer) -> None:
    peer.start(SOP_CLASSES["seg"])
    attempts = list(
        DimseSender(destination(peer.port), "XRVNODE").send(
            [result(tmp_path, 1, "report"), result(tmp_path, 2, "seg")]
        )
    )
    assert [a.outcome for a in attempts] == [Outcome.REJECTED, Outcome.DELIVERED]
    assert said(attempts[0].reason) == (
        "ARCHIVE does not accept Enhanced SR Storage: allow it there, or leave 'report' out of `send`"
    )


def test_a_peer_that_does_not_know_us_rejects_with_the_remedy(tmp_path: Path, peer: Peer) -> None:
    peer.start(calling=["SOMEBODY"])
    attempts = list(
        DimseSender(destination(peer.port), "XRVNODE").send([result(tmp_path, 1), result(tmp_path, 2)])
    )
    assert [a.outcome for a in attempts] == [Outcome.REJECTED] * 2
    assert said(attempts[0].reason) == (
        "ARCHIVE refused the association: it does not know our AE title XRVNODE: ask its administrator to let XRVNODE at this host's address in, or correct receive.ae_title"
    )


def test_a_rejection_is_told_although_the_peer_closed_at_once() -> None:
    def close(connection: socket.socket) -> None:
        connection.sendall(bytes((3, 0, 0, 0, 0, 4, 0, 1, 1, 3)))

    with (
        answering(close) as port,
        pytest.raises(DestinationError, match="ARCHIVE refused the association"),
    ):
        open_to(destination(port), "XRVNODE", [(Verification, [ImplicitVRLittleEndian])])


def test_a_wrong_called_title_is_named(tmp_path: Path, peer: Peer) -> None:
    peer.start()
    attempt = only(DimseSender(destination(peer.port, ae_title="WRONG"), "X").send([result(tmp_path)]))
    assert attempt.outcome == Outcome.REJECTED
    assert "it is not called WRONG: correct `ae_title`" in said(attempt.reason)


def test_a_peer_that_accepts_nothing_is_not_tried_again(tmp_path: Path, peer: Peer) -> None:
    peer.start(SOP_CLASSES["sc"])
    attempts = list(
        DimseSender(destination(peer.port, send=["seg"]), "XRVNODE").send([result(tmp_path, 1)] * 2)
    )
    assert [a.outcome for a in attempts] == [Outcome.REJECTED] * 2
    assert said(attempts[0].reason) == "ARCHIVE accepts none of the SOP classes: allow them there"


def test_a_peer_that_is_down_is_transient(tmp_path: Path) -> None:
    attempt = only(DimseSender(destination(1), "XRVNODE").send([result(tmp_path)]))
    assert attempt.outcome == Outcome.TRANSIENT
    assert "is it running and reachable?" in said(attempt.reason)


def test_a_peer_that_aborts_is_transient_and_the_next_object_gets_a_new_association(
    tmp_path: Path, peer: Peer
) -> None:
    peer.answer = "abort"
    peer.start()
    sender = DimseSender(destination(peer.port), "XRVNODE")
    assert only(sender.send([result(tmp_path)])).outcome == Outcome.TRANSIENT
    peer.answer = 0
    assert only(sender.send([result(tmp_path)])).outcome == Outcome.DELIVERED
    sender.close()


def test_check_says_what_is_accepted_and_fails_where_a_class_is_not(peer: Peer) -> None:
    peer.start(SOP_CLASSES["seg"], SOP_CLASSES["sr"])
    good = DimseSender(destination(peer.port, send=["seg"]), "XRVNODE").check()
    assert good == ["C-ECHO: 0x0000", "seg: Segmentation Storage: Explicit VR Little Endian"]
    with pytest.raises(DestinationError, match="report: Enhanced SR Storage: NOT ACCEPTED"):
        DimseSender(destination(peer.port), "XRVNODE").check()
    with pytest.raises(DestinationError, match="is it running"):
        DimseSender(destination(1), "XRVNODE").check()


def test_a_disk_that_fails_in_the_middle_of_an_object_ends_that_association_alone(
    tmp_path: Path, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Iterator[bytes]:
        yield b"\0" * 100
        raise OSError(errno.EIO, "")

    peer.start()
    sender = DimseSender(destination(peer.port), "XRVNODE")
    assert only(sender.send([result(tmp_path, 1)])).outcome == Outcome.DELIVERED
    with monkeypatch.context() as patched:
        patched.setattr(association, "_pieces", broken)  # read once the command is on its way
        failed = only(sender.send([result(tmp_path, 2)]))
    assert (failed.outcome, said(failed.reason)) == (Outcome.TRANSIENT, "our own file: OSError")
    assert only(sender.send([result(tmp_path, 2)])).outcome == Outcome.DELIVERED
    sender.close()
    assert peer.associations == 2
    assert len(peer.received) == 2
