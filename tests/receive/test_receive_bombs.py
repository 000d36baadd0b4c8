"""Objects that cost more than they weigh: refused before they are paid for."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from pathlib import Path

import pytest
from made import incoming, radiograph
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian
from pynetdicom import dsutils

from xrv_node.db.store import Store
from xrv_node.errors import RefusedError
from xrv_node.radiograph import header as header_module
from xrv_node.receive import intake
from xrv_node.settings import FrontalSection
from xrv_node.spool import Spool


def element(number: int, vr: bytes, length: int) -> bytes:
    return struct.pack("<HH2sxxL", 0x0029, number, vr, length)


ITEM, UNDEFINED = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF), 0xFFFFFFFF


@pytest.mark.parametrize(
    "bomb",
    [
        (element(0x1010, b"SQ", UNDEFINED) + ITEM) * 3000,
        element(0x1010, b"SQ", UNDEFINED) + ITEM + element(0x1010, b"OB", 300_000) + bytes(300_000),
        b"".join(struct.pack("<HH2sH", 0x0029, 0x1000 + n, b"LO", 0) for n in range(2000)),
        element(0x1010, b"SQ", UNDEFINED) + struct.pack("<HHL", 0xFFFE, 0xE000, 0) * 2000,
    ],
    ids=["deep", "large in a sequence", "many elements", "many items"],
)
@pytest.mark.parametrize("deflated", [False, True])
def test_a_header_that_is_a_bomb_is_refused(
    store: Store, spool: Spool, monkeypatch: pytest.MonkeyPatch, bomb: bytes, deflated: bool
) -> None:
    monkeypatch.setattr(header_module._Frugal, "_reads", 1500)
    monkeypatch.setattr(header_module._Frugal, "_bytes", 200_000)
    made = radiograph()
    del made.PixelData
    data, syntax = (dsutils.encode(made, False, True) or b"") + bomb, ExplicitVRLittleEndian
    if deflated:
        deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        data, syntax = deflate.compress(data) + deflate.flush(), DeflatedExplicitVRLittleEndian
    with pytest.raises(RefusedError) as refused:
        intake.accept(
            store, spool, FrontalSection(), incoming(made, data=(data,), transfer_syntax_uid=str(syntax))
        )
    assert refused.value.status == 0xC000
    assert [path for path in (spool.root / "spool").rglob("*") if path.is_file()] == []


def test_a_long_value_before_the_pixels_is_passed_over(spool: Spool, tmp_path: Path) -> None:
    """It is there when it is asked for, and does not count."""
    made = radiograph()
    made.add_new(0x00290010, "LO", "TEST")
    made.add_new(0x00291010, "OB", b"\1" * (3 << 20))
    made.save_as(tmp_path / "object.dcm", enforce_file_format=True)
    tracemalloc.start()
    try:
        found = header_module.read_header(tmp_path / "object.dcm")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert found[0x00291010].value == b"\1" * (3 << 20)
    assert found.Rows == 300
