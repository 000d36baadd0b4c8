"""Bytes of a data set into the intake: what is announced, kept, read to its pixel data and judged.

The first byte of an input chooses the transfer syntax. What comes deflated is deflated here, so that a
mutation meets the parser and not only zlib.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

from fuzz_node import Found, Rooms
from made import CR, radiograph
from pydicom import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
)
from pynetdicom import dsutils

from xrv_node.errors import RefusedError
from xrv_node.receive import intake, statuses
from xrv_node.receive.instance_rows import Incoming
from xrv_node.settings import FrontalSection

SYNTAXES = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    UID("1.2.840.113619.5.2"),  # a private one: GE's big endian with implicit VR
)
INSTANCE = "1.2.3.1.1.1"
STATUSES = (statuses.OUT_OF_RESOURCES, statuses.DOES_NOT_MATCH, statuses.CANNOT_UNDERSTAND)


def entry(directory: Path) -> Callable[[bytes], None]:
    """Make the function that takes one input."""
    rooms = Rooms(directory)

    def run(data: bytes) -> None:
        syntax, pieces = SYNTAXES[data[0] % len(SYNTAXES)] if data else SYNTAXES[0], data[1:]
        if data[:1] == b"\3":
            deflate = zlib.compressobj(1, wbits=-zlib.MAX_WBITS)
            pieces = deflate.compress(pieces) + deflate.flush()
        half = len(pieces) // 2
        incoming = Incoming(CR, INSTANCE, syntax, "PACS", (pieces[:half], pieces[half:]))
        try:
            accepted = intake.accept(rooms.store, rooms.spool, FrontalSection(), incoming)
        except RefusedError as error:
            if error.status not in STATUSES or "zebrafinch" in str(error).casefold():
                raise Found(f"a refusal that says too much or nothing: {error.status:04X} {error}") from error
            rooms.check(kept=False)
            return
        if accepted.outcome == "stored" and (accepted.decision is None or not accepted.decision.reasons):
            raise Found("stored without a reason")
        rooms.check(kept=True)

    return run


def seeds() -> dict[str, bytes]:
    """The inputs to begin with, by name."""
    plain = radiograph(Rows=2, Columns=2, PixelData=b"\0\1\2\3\4\5\6\7")
    coded, nested, item = Dataset(), Dataset(), Dataset()
    coded.CodeValue, coded.CodingSchemeDesignator, coded.CodeMeaning = "399348003", "SCT", "antero-posterior"
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "1", "99XRV", "nested"
    nested.ViewModifierCodeSequence = [item]
    rich = radiograph(
        Rows=2, Columns=2, PixelData=b"\0\1\2\3\4\5\6\7", ViewPosition=None, ViewCodeSequence=[coded, nested],
        ImageType=["ORIGINAL", "PRIMARY"], SeriesDescription="Thorax ap", SpecificCharacterSet="ISO 2022 IR 87",
        PresentationIntentType="FOR PRESENTATION", NumberOfFrames="1",
    )  # fmt: skip
    rich["ViewCodeSequence"].is_undefined_length = True
    compressed = radiograph(
        Rows=2, Columns=2, PixelData=b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0\4\0\0\0\xff\xd8\xff\xd9"
    )
    compressed["PixelData"].VR = "OB"
    compressed["PixelData"].is_undefined_length = True
    return {
        "explicit": b"\0" + dataset(plain),
        "implicit": b"\1" + dataset(rich, implicit=True),
        "big_endian": b"\2" + dataset(rich, little=False),
        "deflated": b"\3" + dataset(rich),
        "compressed": b"\4" + dataset(compressed),
        "private_syntax": b"\5" + dataset(plain),
        "lateral": b"\0" + dataset(radiograph(ViewPosition="LL", PixelData=b"\0\0", Rows=1, Columns=1)),
    }


def dataset(made: Dataset, *, implicit: bool = False, little: bool = True) -> bytes:
    """The bytes of a data set without its meta information."""
    return dsutils.encode(made, implicit, little) or b""
