"""A running node with a few small objects in it, of every transfer syntax that is read, and questions to it."""

from __future__ import annotations

import http.client
import re
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from made import encoded, radiograph
from numpy.typing import NDArray
from pydicom import Dataset, dcmwrite
from pydicom.encaps import encapsulate
from pydicom.pixels.encoders import RLELosslessEncoder
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from xrv_node.db.store import Store
from xrv_node.receive import intake
from xrv_node.receive.instance_rows import Incoming
from xrv_node.settings import Settings
from xrv_node.spool import Spool
from xrv_node.web import server
from xrv_node.web.node import WebNode

NATIVE = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)


def _jpeg_2000(pixels: NDArray[Any], **options: Any) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(pixels, codecformat="j2k", bitspersample=12, **options))


def _rle(pixels: NDArray[Any]) -> bytes:
    about = {
        "rows": pixels.shape[0],
        "columns": pixels.shape[1],
        "samples_per_pixel": 1,
        "bits_allocated": 16,
        "bits_stored": 12,
        "pixel_representation": 0,
        "photometric_interpretation": "MONOCHROME2",
        "number_of_frames": 1,
    }
    return RLELosslessEncoder.encode(pixels, **about)


CODED = {
    JPEGBaseline8Bit: lambda p: imagecodecs.jpeg8_encode(p.astype(np.uint8), level=95),
    JPEGExtended12Bit: lambda p: imagecodecs.jpeg8_encode(p, level=100, bitspersample=12),
    JPEGLossless: lambda p: imagecodecs.jpeg8_encode(p, lossless=True, bitspersample=12),
    JPEGLosslessSV1: lambda p: imagecodecs.jpeg8_encode(p, lossless=True, bitspersample=12),
    JPEGLSLossless: imagecodecs.jpegls_encode,
    JPEGLSNearLossless: lambda p: imagecodecs.jpegls_encode(p, level=2),
    JPEG2000Lossless: lambda p: _jpeg_2000(p, level=0, reversible=True),
    JPEG2000: lambda p: _jpeg_2000(p, level=60),
    HTJ2KLossless: imagecodecs.htj2k_encode,
    HTJ2KLosslessRPCL: imagecodecs.htj2k_encode,
    HTJ2K: imagecodecs.htj2k_encode,
    RLELossless: _rle,
}
"""The encoder of each."""


def scene(rows: int = 24, columns: int = 20, bits: int = 12) -> NDArray[np.uint16]:
    """Something smooth, over the whole range."""
    down, across = np.mgrid[0:rows, 0:columns]
    waves = 0.5 + 0.25 * np.sin(down / 5) + 0.25 * np.cos(across / 4)
    return (waves * ((1 << bits) - 1)).round().astype(np.uint16)


def small(number: int, study: int, pixels: NDArray[Any], **attributes: Any) -> Dataset:
    """A radiograph with these pixels, ``[rows, columns]`` or ``[frames, rows, columns]``."""
    made = radiograph(number, study)
    made.Rows, made.Columns = pixels.shape[-2:]
    if pixels.ndim == 3:
        made.NumberOfFrames = len(pixels)
    made.BitsAllocated = pixels.dtype.itemsize * 8
    made.BitsStored = 12 if made.BitsAllocated == 16 else 8
    made.HighBit = made.BitsStored - 1
    made.PixelData = pixels.tobytes()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


@dataclass
class Answer:
    """What came."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def type(self) -> str:
        return self.headers["Content-Type"]

    @property
    def parts(self) -> list[tuple[str, bytes]]:
        """Content-Type and bytes of each part, parted as viewers do it."""
        boundary = re.search(r"boundary=\"?([^\";]+)", self.type)
        assert boundary
        assert self.body.endswith(f"\r\n--{boundary[1]}--\r\n".encode())
        found = []
        for piece in (b"\r\n" + self.body).split(f"\r\n--{boundary[1]}".encode())[1:-1]:
            head, _, data = piece.partition(b"\r\n\r\n")
            named = re.match(rb"\r\nContent-Type: ([^\r]+)", head)
            assert named
            found.append((named[1].decode(), data))
        return found


class WebSite:
    """A node that is served."""

    def __init__(self, directory: Path, store: Store) -> None:
        settings = Settings(node={"data_dir": directory}, web={"port": 0})
        self.store, self.spool, self.settings = store, Spool(directory), settings
        self.node = WebNode(settings, store, self.spool)
        self.server = server.start(self.node)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/dicom-web"

    def keep(
        self, dataset: Dataset, syntax: str = ExplicitVRLittleEndian, data: bytes | None = None
    ) -> Dataset:
        """Store an object as if it had come in that transfer syntax."""
        said = Incoming(
            str(dataset.SOPClassUID),
            str(dataset.SOPInstanceUID),
            str(syntax),
            "PACS",
            (as_bytes(dataset, syntax) if data is None else data,),
        )
        intake.accept(self.store, self.spool, self.settings.frontal, said)
        return dataset

    def ask(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """One request; ``_`` in the name of a header is a hyphen."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=90)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, f"/dicom-web{path}", headers=named)
        answer = connection.getresponse()
        found = Answer(answer.status, answer.headers, answer.read())
        connection.close()
        return found


@contextmanager
def running(directory: Path, empty_database: Path) -> Iterator[WebSite]:
    """A node with nothing in it."""
    shutil.copyfile(empty_database, directory / "audit.sqlite")
    store = Store(f"sqlite:///{directory / 'audit.sqlite'}")
    site = WebSite(directory, store)
    with site.server:
        yield site
    site.node.index.close()
    store.close()


def path(dataset: Dataset) -> str:
    """The resource of an object."""
    return (
        f"/studies/{dataset.StudyInstanceUID}/series/{dataset.SeriesInstanceUID}"
        f"/instances/{dataset.SOPInstanceUID}"
    )


def as_bytes(dataset: Dataset, syntax: str) -> bytes:
    """A data set in a transfer syntax; its pixel data are little endian or not compressed yet."""
    made = Dataset(dataset)
    if syntax in CODED:
        shape = (int(made.get("NumberOfFrames", 1)), made.Rows, made.Columns)
        pixels = np.frombuffer(made.PixelData, f"<u{made.BitsAllocated // 8}").reshape(shape)
        made.PixelData = encapsulate([bytes(CODED[syntax](frame)) for frame in pixels])
        made["PixelData"].VR, made["PixelData"].is_undefined_length = "OB", True
        return encoded(made)
    if syntax == DeflatedExplicitVRLittleEndian:
        zipper = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        return zipper.compress(encoded(made)) + zipper.flush()
    if syntax == ExplicitVRBigEndian:
        made.PixelData = np.frombuffer(made.PixelData, "<u2").astype(">u2").tobytes()
        made["PixelData"].VR = "OW"
    buffer = BytesIO()
    little = syntax != ExplicitVRBigEndian
    dcmwrite(
        buffer,
        made,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=little,
        enforce_file_format=False,
    )
    whole = buffer.getvalue()
    return whole[144 + int.from_bytes(whole[140:144], "little") :] if whole[128:132] == b"DICM" else whole
