"""Objects that cost more than they weigh: refused, or passed over, before they are paid for."""

from __future__ import annotations

import struct
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import pytest
from made import incoming, radiograph
from pydicom import Dataset
from pydicom.tag import Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian
from pynetdicom import dsutils

from xrv_node import frontal
from xrv_node.db.store import Store
from xrv_node.errors import RefusedError
from xrv_node.radiograph import header, header_limits
from xrv_node.radiograph.header import read_header, read_object
from xrv_node.radiograph.header_limits import passed_over
from xrv_node.radiograph.read import read
from xrv_node.receive import header_facts, intake
from xrv_node.receive.instance_rows import Accepted
from xrv_node.settings import FrontalSection
from xrv_node.spool import Spool

UNDEFINED = 0xFFFFFFFF
ITEM, EMPTY = struct.pack("<HHL", 0xFFFE, 0xE000, UNDEFINED), struct.pack("<HHL", 0xFFFE, 0xE000, 0)
END = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
PRIVATE = 0x00291010


def head(tag: str | int, vr: bytes, length: int) -> bytes:
    number = int(Tag(tag))
    return struct.pack("<HH2sxxL", number >> 16, number & 0xFFFF, vr, length)


def whole(tag: str | int, vr: bytes, value: bytes) -> bytes:
    return head(tag, vr, len(value)) + value


def delimited(tag: str | int, value: bytes) -> bytes:
    return head(tag, b"SQ", UNDEFINED) + value + END


def sent(store: Store, spool: Spool, more: bytes, *, deflated: bool = False) -> Accepted:
    """A radiograph without pixels whose data set ends with these bytes, to the intake."""
    made = radiograph()
    del made.PixelData
    data, syntax = (dsutils.encode(made, False, True) or b"") + more, ExplicitVRLittleEndian
    if deflated:
        deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        data, syntax = deflate.compress(data) + deflate.flush(), DeflatedExplicitVRLittleEndian
    return intake.accept(
        store, spool, FrontalSection(), incoming(made, data=(data,), transfer_syntax_uid=str(syntax))
    )


LOOKED_AT = {
    "items": whole("ContributingEquipmentSequence", b"SQ", EMPTY * 3000),
    "items without a length": delimited("ViewCodeSequence", EMPTY * 3000),
    "items of unknown VR": whole("ViewCodeSequence", b"UN", EMPTY * 3000),
    "items in an item": delimited(
        "AnatomicRegionSequence",
        struct.pack("<HHL", 0xFFFE, 0xE000, 8000 + 12)
        + whole("ViewModifierCodeSequence", b"SQ", EMPTY * 1000),
    )
    + delimited("ViewCodeSequence", EMPTY * 2001),
    "deep": delimited("ViewCodeSequence", b"")[:-8]
    + (ITEM + head("ViewModifierCodeSequence", b"SQ", UNDEFINED)) * 40
    + (END + struct.pack("<HHL", 0xFFFE, 0xE00D, 0)) * 40
    + END,
    "values": whole("ImageType", b"UN", b"a\\" * 2000),
    "values of a name": whole("PatientName", b"UT", b"a\\" * 2000),
    "values that are numbers": whole("NumberOfFrames", b"UC", b"1\\" * 2000),
    "binary numbers": whole("Rows", b"UN", bytes(5000)),
    "a long text": whole("SeriesDescription", b"UT", b"a" * 70_000),
    "character sets": whole("SpecificCharacterSet", b"UN", b"\\" * 2000),
    "bytes": whole("ViewPosition", b"OB", bytes(300_000)),
}


@pytest.mark.parametrize("bomb", LOOKED_AT.values(), ids=LOOKED_AT)
@pytest.mark.parametrize("deflated", [False, True])
def test_too_much_in_an_attribute_that_is_looked_at_is_refused(
    store: Store, spool: Spool, bomb: bytes, deflated: bool
) -> None:
    with pytest.raises(RefusedError, match="larger, or has more values") as refused:
        sent(store, spool, bomb, deflated=deflated)
    assert refused.value.status == 0xC000
    assert [path for path in (spool.root / "spool").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    "much",
    [
        whole(PRIVATE, b"SQ", EMPTY * 3000),
        delimited(PRIVATE, EMPTY * 3000),
        delimited(PRIVATE, (ITEM + whole(PRIVATE, b"OB", bytes(3000)) + b"\xfe\xff\x0d\xe0\0\0\0\0") * 300),
        head(PRIVATE, b"OB", UNDEFINED) + EMPTY * 2500 + END,
        whole("AccessionNumber", b"UT", b"1" * (2 << 20)),
        whole("OtherPatientIDsSequence", b"SQ", EMPTY * 100_000),
    ],
    ids=[
        "items",
        "items without a length",
        "items with much in them",
        "fragments",
        "a number",
        "identifiers",
    ],
)
@pytest.mark.parametrize("deflated", [False, True])
def test_too_much_of_what_is_not_looked_at_is_passed_over(
    store: Store, spool: Spool, much: bytes, deflated: bool
) -> None:
    """And what comes behind it is there."""
    last = struct.pack("<HH2sH", 0x7FDF, 0x1001, b"LO", 4) + b"last"
    assert sent(store, spool, much + last, deflated=deflated).outcome == "stored"
    (file,) = (spool.root / "spool" / "inputs").rglob("*.dcm")
    for reader in (read_header, read_object):
        found = reader(file)
        assert found.Rows == 300
        assert found[0x7FDF1001].value in ("last", b"last")
        assert len(passed_over(found)) == 1
        assert not passed_over(found) & set(found.keys())


@pytest.mark.parametrize(
    "bomb",
    [
        b"".join(struct.pack("<HH2sH", 0x0029, 0x1000 + n, b"LO", 0) for n in range(2000)),
        delimited(PRIVATE, EMPTY * 1200)[:-8],
        b"".join(delimited(PRIVATE + n, EMPTY * 600) for n in range(3)),
        whole(PRIVATE, b"OB", bytes(150_000)) + whole(PRIVATE + 1, b"OB", bytes(150_000)),
    ],
    ids=["elements", "items without an end", "items in many sequences", "bytes"],
)
def test_a_header_of_too_many_pieces_is_refused(
    store: Store, spool: Spool, monkeypatch: pytest.MonkeyPatch, bomb: bytes
) -> None:
    monkeypatch.setattr(header_limits.Frugal, "left_reads", 1500)
    monkeypatch.setattr(header_limits.Frugal, "left_bytes", 250_000)
    with pytest.raises(RefusedError) as refused:
        sent(store, spool, bomb)
    assert refused.value.status == 0xC000


def test_steps_over_what_is_not_kept_are_counted(
    store: Store, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(header_limits, "MAX_STEPS", 5000)
    assert sent(store, spool, delimited(PRIVATE, EMPTY * 4000)).outcome == "stored"
    with pytest.raises(RefusedError, match="too many elements"):
        sent(store, spool, delimited(PRIVATE, EMPTY * 3000) + delimited(PRIVATE + 1, EMPTY * 3000))


def test_what_inflates_out_of_all_proportion_is_refused(
    store: Store, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(header, "_FLOORS", (1 << 16, 1 << 16))
    with pytest.raises(RefusedError, match="inflates to more than"):
        sent(store, spool, whole(PRIVATE, b"OB", bytes(4 << 20)), deflated=True)


def test_an_image_without_what_it_is_shown_by_is_not_analysed(tmp_path: Path) -> None:
    """A look-up table that is passed over would leave another picture."""
    made = radiograph()
    tables = Dataset()
    tables.LUTDescriptor, tables.ModalityLUTType = [0, 0, 16], "US"
    made.ModalityLUTSequence = [tables] * 1000
    made.save_as(tmp_path / "object.dcm", enforce_file_format=True)
    with pytest.raises(Exception, match="LUTSequence is larger"):
        read(tmp_path / "object.dcm")
    made.ModalityLUTSequence = []
    made.ICCProfile = bytes(400_000)
    made.save_as(tmp_path / "object.dcm", enforce_file_format=True)
    assert read(tmp_path / "object.dcm").pixels.shape == (300, 260)


def test_much_behind_the_pixels_is_passed_over(tmp_path: Path) -> None:
    made = radiograph()
    made.save_as(tmp_path / "object.dcm", enforce_file_format=True)
    with (tmp_path / "object.dcm").open("ab") as file:
        file.write(struct.pack("<HH2sxxL", 0xFFFC, 0xFFFC, b"OB", 8 << 20) + bytes(8 << 20))
    tracemalloc.start()
    try:
        assert len(read_object(tmp_path / "object.dcm").PixelData) == 2 * 300 * 260
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()


class Watched(Dataset):
    """Remembers what was asked of it."""

    def get(self, key: Any, default: Any = None) -> Any:
        asked: set[str] = self.__dict__.setdefault("asked", set())
        asked.add(str(key))
        return super().get(key, default)


def test_all_that_is_looked_at_is_known() -> None:
    """What the decision and the intake ask a header for is in the lists of what is refused when it is too much."""
    for made in (
        radiograph(),
        radiograph(ViewPosition=None, PatientAge=None, BodyPartExamined=None),
        Dataset(),
    ):
        watched = Watched(made)
        frontal.decide(watched)
        header_facts._is_result(watched)
        assert watched.asked <= frontal.attributes() | set(header_facts.OWN)
        assert len(watched.asked) > 20


ATTACK = """
import re, sys
from pathlib import Path
from xrv_node.radiograph.header import read_header
def most():
    return int(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1]) >> 10
before = most()
for name in sys.argv[1:]:
    try:
        read_header(Path(name))
    except Exception as error:
        print(error, file=sys.stderr)
print(most() - before)
"""


def test_a_header_takes_no_more_memory_than_is_said(tmp_path: Path) -> None:
    """docs/operations.md: 128 MiB a header. Each of these is a million items or values, or as many as pass."""
    if not Path("/proc/self/status").is_file():
        pytest.skip("the kernel does not tell how much memory a process has had")
    bombs = {
        "items": whole("ContributingEquipmentSequence", b"SQ", EMPTY * 1_000_000),
        "endless": delimited("ViewCodeSequence", EMPTY * 1_000_000),
        "values": whole("ImageType", b"UN", b"a\\" * (4 << 20)),
        "many": b"".join(delimited(PRIVATE + n, EMPTY * 1990) for n in range(9)),
        "bytes": b"".join(whole(PRIVATE + n, b"OB", bytes(250_000)) for n in range(130)),
    }
    made = radiograph()
    del made.PixelData
    for name, bomb in bombs.items():
        data = (dsutils.encode(made, False, True) or b"") + bomb
        prefix = intake._part10_prefix(incoming(made))
        (tmp_path / name).write_bytes(prefix + data)
    done = subprocess.run(
        [sys.executable, "-c", ATTACK, *map(str, sorted(tmp_path.iterdir()))],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert 0 < int(done.stdout) < 128, done.stderr
