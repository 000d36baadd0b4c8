"""Codestreams that claim more than they are: refused before a decoder makes room for it."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from made import radiograph
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

LARGE = 60_000


def jpeg_2000(claimed: int) -> bytes:
    """A codestream of 64 x 64 whose SIZ marker (ISO/IEC 15444-1 A.5.1) claims more."""
    picture = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    file = cv2.imencode(".jp2", picture)[1].tobytes()
    stream = bytearray(file[file.index(b"\xff\x4f\xff\x51") :])
    struct.pack_into(">LL", stream, 8, claimed, claimed)
    return bytes(stream)


def jpeg_ls(claimed: int) -> bytes:
    """The start of a frame (ISO/IEC 14495-1 C.2.2) with nothing in it."""
    frame = struct.pack(">HHBHHB3B", 0xFFF7, 11, 16, claimed, claimed, 1, 1, 0x11, 0)
    scan = struct.pack(">HHB2B3B", 0xFFDA, 8, 1, 1, 0, 0, 0, 0)
    return b"\xff\xd8" + frame + scan + b"\0" * 16 + b"\xff\xd9"


def rle(repeats: int) -> bytes:
    """Two segments of runs of 128 bytes (PS3.5 G.3)."""
    run = b"\x81\x00" * repeats
    return struct.pack("<16L", 2, 64, 64 + len(run), *[0] * 13) + run * 2


def written(folder: Path, name: str, stream: bytes, syntax: str, size: int) -> None:
    made = radiograph(Rows=size, Columns=size, BitsStored=16, HighBit=15)
    made.PixelData = encapsulate([stream])
    made["PixelData"].VR, made["PixelData"].is_undefined_length = "OB", True
    made.file_meta.TransferSyntaxUID = syntax
    made.save_as(folder / name, enforce_file_format=True)


READ = """
import re, sys
from pathlib import Path
from xrv_node.radiograph.read import read
from xrv_node.errors import ImageError
def most():
    return int(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1]) >> 10
try:
    read(Path(sys.argv[1]))  # what is loaded once
except ImageError as error:
    print("unexpected", error)
for name in sys.argv[2:]:
    before = most()
    try:
        read(Path(name))
        print("read", name)
    except ImageError as error:
        print("MiB", most() - before, Path(name).name, error)
"""


def test_what_claims_to_be_huge_takes_no_memory(tmp_path: Path) -> None:
    if not Path("/proc/self/status").is_file():
        pytest.skip("the kernel does not tell how much memory a process has had")
    written(tmp_path, "0 good", jpeg_2000(64), JPEG2000Lossless, 64)
    for size in (LARGE, 64):
        written(tmp_path, f"1 jpeg 2000 in {size}", jpeg_2000(LARGE), JPEG2000Lossless, size)
        written(tmp_path, f"2 jpeg-ls in {size}", jpeg_ls(LARGE), JPEGLSLossless, size)
    written(tmp_path, f"3 rle in {LARGE}", rle(100), RLELossless, LARGE)
    written(tmp_path, "4 rle that unpacks to 256 MiB", rle(1 << 20), RLELossless, 64)
    done = subprocess.run(
        [sys.executable, "-c", READ, *map(str, sorted(tmp_path.iterdir()))],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = [line.split(maxsplit=2) for line in done.stdout.splitlines()]
    assert len(lines) == 6, done.stdout
    assert {line[0] for line in lines} == {"MiB"}, done.stdout
    assert all(int(line[1]) < 64 for line in lines), done.stdout
