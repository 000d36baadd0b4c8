"""Data sets as devices write them, against the standard or at its edge: taken whole, and analysed where they can be."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from breadth_objects import body_of, deflated, rewrite, stored, write
from made import CR, SECRET, radiograph
from odd_bytes import CREATOR, ITEM, ITEM_END, SEQUENCE_END, UNDEFINED, Change, before, element, instead
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from receiving import Receiver
from sqlalchemy import select
from worded import said

from xrv_node.db import queries
from xrv_node.db.tables import Instance
from xrv_node.radiograph.read import read
from xrv_node.receive import intake
from xrv_node.receive.instance_rows import Incoming
from xrv_node.settings import FrontalSection


def moved_to_the_front(body: bytes) -> bytes:
    """Pixel data before all that describes it."""
    place = body.index(b"\xe0\x7f\x10\x00")
    return body[place:] + body[:place]


NESTED = element(
    0x00091001, "SQ", ITEM + element(0x00091002, "LO", b"ab") + element(
        0x00091003, "SQ", ITEM + element(0x00091004, "UN", bytes(7)) + ITEM_END + SEQUENCE_END, UNDEFINED
    ) + ITEM_END + SEQUENCE_END, UNDEFINED,
)  # fmt: skip
# within a sequence of VR UN and undefined length all is implicit VR (PS3.5 6.2.2 note 2)
UNKNOWN = element(
    0x00091001, "UN", ITEM + struct.pack("<HHL", 9, 0x1002, 2) + b"ab" + ITEM_END + SEQUENCE_END, UNDEFINED
)  # fmt: skip

TAKEN: dict[str, Change] = {
    "private sequences of undefined length": before(0x00100010, CREATOR, NESTED),
    "a private sequence that somebody made UN": before(0x00100010, CREATOR, UNKNOWN),
    "private elements without their creator": before(0x00100010, element(0x00091001, "UN", b"abc")),
    "group lengths, one of them wrong": lambda body: before(
        0x00280002, element(0x00280000, "UL", b"\xff" * 4)
    )(element(0x00080000, "UL", struct.pack("<L", 300)) + body),
    "padding behind the data set": lambda body: body + element(0xFFFCFFFC, "OB", bytes(512)),
    "a value of odd length": before(0x00080090, element(0x00080080, "LO", b"CLINIC^")),
    "an element twice": before(0x00180015, element(0x00180015, "CS", b"CHEST ")),
    "elements out of order": lambda body: element(0x00180060, "DS", b"125 ") + body,
    "rows behind the pixel data": lambda body: (
        instead(0x00280010)(body) + element(0x00280010, "US", struct.pack("<H", 300))
    ),
    "rows as text": instead(0x00280010, element(0x00280010, "IS", b"300 ")),
    "rows as a long": instead(0x00280010, element(0x00280010, "UL", struct.pack("<L", 300))),
    "a name of a VR that is none": instead(0x00100010, element(0x00100010, "ZX", b"A^B ")),
    "a view of a VR that is blank": instead(0x00185101, element(0x00185101, "  ", b"PA")),
    "a private element of a VR that is NULs": before(
        0x00100010, CREATOR, element(0x00091001, "\0\0", b"abcd")
    ),
    "an element of a VR that is none in an item": before(
        0x00100010,
        CREATOR,
        element(
            0x00091001, "SQ", ITEM + element(0x00091002, "??", b"ab") + ITEM_END + SEQUENCE_END, UNDEFINED
        ),
    ),
    "a character set of VR OB": instead(0x00080005, element(0x00080005, "OB", b"ISO_IR 192")),
    "a UID with a blank behind it": instead(0x0020000D, element(0x0020000D, "UI", b"1.2.3.1 ")),
    "no photometric interpretation": instead(0x00280004),
    "no bits stored and no high bit": lambda body: instead(0x00280101)(instead(0x00280102)(body)),
    "no patient, no date": lambda body: instead(0x00100010)(instead(0x00100020)(instead(0x00080020)(body))),
}


@pytest.mark.parametrize("name", TAKEN)
def test_odd_data_sets_are_kept_as_they_are_and_analysed(
    name: str, receiver: Receiver, tmp_path: Path
) -> None:
    plain = write(radiograph(), tmp_path / "plain.dcm")
    sent = rewrite(write(radiograph(), tmp_path / "image.dcm"), TAKEN[name])
    assert body_of(sent) != body_of(plain)
    assert stored(receiver.port, sent) == 0
    assert body_of(receiver.kept()) == body_of(sent)
    if name != "rows behind the pixel data":  # the header ends at them, and without rows it is no radiograph
        assert receiver.analysed() == [None]
        assert receiver.study()["instances"][0]["state"] == "analysed"
    shown = read(receiver.kept())
    assert np.array_equal(shown.pixels, read(plain).pixels)


@pytest.mark.parametrize("said", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_the_other_vr_than_was_agreed(said: str, receiver: Receiver, tmp_path: Path) -> None:
    """Some senders agree on one encoding and send the other."""
    other = ({ExplicitVRLittleEndian, ImplicitVRLittleEndian} - {said}).pop()
    wrong = body_of(write(radiograph(), tmp_path / "wrong.dcm", other))
    sent = rewrite(write(radiograph(), tmp_path / "image.dcm", said), lambda _: wrong)
    assert stored(receiver.port, sent) == 0
    assert receiver.analysed() == [None]


def without(*keywords: str, **attributes: Any) -> dict[str, Any]:
    return dict.fromkeys(keywords) | attributes


UNREADABLE = {
    "no rows": (without("Rows"), "no pixels: 0 rows"),
    "no pixel data": (without("PixelData"), "has no pixel data"),
    "empty pixel data": ({"PixelData": b""}, "has no pixel data"),
    "pixel data of another size": ({"PixelData": bytes(1000)}, "truncated: 1000 of 156000 bytes"),
    "no bits allocated": (without("BitsAllocated"), "Bits Allocated 0"),
    "black": ({"PixelData": bytes(156000)}, "shows nothing"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_analysed_is_kept_and_its_study_says_why(
    name: str, receiver: Receiver, tmp_path: Path
) -> None:
    attributes, why = UNREADABLE[name]
    sent = write(radiograph(**attributes), tmp_path / "image.dcm")
    assert stored(receiver.port, sent) == 0
    assert body_of(receiver.kept()) == body_of(sent)
    (error,) = receiver.analysed()
    (instance,) = receiver.study()["instances"]
    told = [error] if error else instance["reasons"]
    assert any(why in str(reason) for reason in told) or (
        name == "no rows" and instance["state"] == "skipped"
    )


REFUSED: dict[str, tuple[Change, int]] = {
    "nothing": (lambda _: b"", 0xA900),
    "text": (lambda _: b"Dear colleague, please find enclosed the images.\n" * 20, 0xA900),
    "zeros": (lambda body: bytes(len(body)), 0xA900),
    "a file in the place of its data set": (lambda body: bytes(128) + b"DICM" + body, 0xA900),
    "pixel data before everything": (moved_to_the_front, 0xA900),
    "no study": (instead(0x0020000D), 0xC000),
    "another class than announced": (instead(0x00080016, element(0x00080016, "UI", b"1.2.3\0")), 0xA900),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_filed_is_refused_and_leaves_nothing(
    name: str, receiver: Receiver, tmp_path: Path
) -> None:
    change, status = REFUSED[name]
    sent = rewrite(write(radiograph(), tmp_path / "image.dcm"), change)
    assert stored(receiver.port, sent) == status
    with receiver.store.read() as db:
        assert db.scalars(select(Instance)).all() == []
        (event,) = queries.events(db, event="instance.refused")
    assert SECRET not in str(event)
    assert not [p for p in (receiver.spool.root / "spool").rglob("*") if p.is_file()]


def test_what_was_negotiated_wins_over_a_transfer_syntax_in_the_data_set(
    receiver: Receiver, tmp_path: Path
) -> None:
    plain = write(radiograph(), tmp_path / "plain.dcm")
    sent = element(0x00020010, "UI", b"1.2.840.10008.1.2.4.70") + body_of(plain)
    incoming = Incoming(CR, "1.2.3.1.1.1", ExplicitVRLittleEndian, "PACS", (sent,))
    accepted = intake.accept(receiver.store, receiver.spool, FrontalSection(), incoming)
    assert accepted.outcome == "stored"
    assert body_of(receiver.kept()) == sent
    assert receiver.analysed() == [None]
    assert np.array_equal(read(receiver.kept()).pixels, read(plain).pixels)


def test_the_element_that_leads_astray_is_named_and_not_the_uid_behind_it(
    receiver: Receiver, tmp_path: Path
) -> None:
    astray = struct.pack("<HH2sH", 0x0018, 0x5101, b"??", 0xFFFE) + b"PA"
    sent = rewrite(write(radiograph(), tmp_path / "image.dcm"), instead(0x00185101, astray))
    assert stored(receiver.port, sent) == 0xC000
    with receiver.store.read() as db:
        (event,) = queries.events(db, event="instance.refused")
    assert "(0018,5101)" in said(event["detail"]["why"])


def test_a_deflated_header_that_grows_without_end_is_refused(receiver: Receiver, tmp_path: Path) -> None:
    bomb = before(0x00100010, CREATOR, element(0x00091001, "OB", bytes(32 << 20)))
    body = deflated(bomb(body_of(write(radiograph(), tmp_path / "plain.dcm"))))
    assert len(body) < 300_000
    sent = write(radiograph(), tmp_path / "image.dcm", DeflatedExplicitVRLittleEndian)
    assert stored(receiver.port, rewrite(sent, lambda _: body)) == 0xC000
    with receiver.store.read() as db:
        (event,) = queries.events(db, event="instance.refused")
    assert "inflates to more than 4 MiB" in said(event["detail"]["why"])
