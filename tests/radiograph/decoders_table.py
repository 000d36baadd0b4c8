"""Decoders beside the truth, as a table: ``python tests/radiograph/decoders_table.py [docs/decoders.md]``.

Each codestream is of a known picture. A decoder that is not installed has a dash; one that is not the node's runs
in a process of its own, for some end it.
"""

from __future__ import annotations

import importlib.metadata
import multiprocessing
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import process_time

import imagecodecs
import numpy as np
import pydicom
from coded import codestream, described, fragments, lossless_jpeg, narrow, raw, scene, segments
from numpy.typing import NDArray
from openjpeg.utils import encode_array
from pydicom import dcmread
from pydicom.pixels import get_decoder
from pydicom.uid import (
    JPEG2000,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from xrv_node.radiograph import decoders
from xrv_node.radiograph.codestream import claim

SIDE, LARGE = 64, (3000, 2500)
START, END = "<!-- decoders -->", "<!-- end of decoders -->"


@dataclass(frozen=True)
class Case:
    """Codestreams of one process that must give one picture back."""

    process: str
    syntax: str
    made: tuple[tuple[int, bytes, NDArray[np.int64]], ...]
    """Depth, codestream and picture of each."""
    tolerance: int = 0


def cases() -> list[Case]:
    """One for every process that the node accepts."""

    def of(
        process: str, syntax: str, depths: tuple[int, ...], encode: Callable[..., bytes], tolerance: int = 0
    ) -> Case:
        pictures = [(bits, scene(bits, SIDE)) for bits in depths]
        made = tuple((bits, encode(p, bits), p.astype(np.int64)) for bits, p in pictures)
        return Case(process, syntax, made, tolerance)

    def by(syntax: str) -> Callable[..., bytes]:
        return lambda pixels, bits: codestream(pixels, bits, syntax)

    def near(pixels: NDArray[np.integer], _bits: int) -> bytes:
        return bytes(imagecodecs.jpegls_encode(narrow(pixels, _bits), level=2))

    all_depths = (8, 10, 12, 14, 16)
    rows = [
        of("JPEG Baseline", JPEGBaseline8Bit, (8,), by(JPEGExtended12Bit), 3),
        of("JPEG Extended", JPEGExtended12Bit, (12,), by(JPEGExtended12Bit), 6),
    ]
    rows += [
        of(f"JPEG Lossless, predictor {n}", JPEGLosslessSV1 if n == 1 else JPEGLossless, all_depths,
           lambda p, bits, n=n: lossless_jpeg(p, bits, n))
        for n in range(1, 8)
    ]  # fmt: skip
    rows += [
        of(f"the same, differences modulo 65536, predictor {n}", JPEGLosslessSV1 if n == 1 else JPEGLossless,
           (8, 10, 12, 14), lambda p, bits, n=n: lossless_jpeg(p, bits, n, signed=True))
        for n in range(1, 5)
    ]  # fmt: skip
    return [
        *rows,
        of("JPEG-LS", JPEGLSLossless, all_depths, by(JPEGLSLossless)),
        of("JPEG-LS near lossless", JPEGLSNearLossless, (8, 16), near, 2),
        of("JPEG 2000, reversible", JPEG2000Lossless, all_depths, by(JPEG2000Lossless)),
        of(
            "JPEG 2000, irreversible", JPEG2000, (8, 12),
            lambda p, bits: bytes(encode_array(narrow(p, bits), bits_stored=bits, photometric_interpretation=2,
                                               codec_format=0, compression_ratios=[1.5])), 4,
        ),
        of("High-Throughput JPEG 2000, reversible", HTJ2KLossless, (8, 16), by(HTJ2KLossless)),
        of("RLE", RLELossless, (8, 16), lambda p, bits: segments(narrow(p, bits))),
    ]  # fmt: skip


def node(case: Case, data: bytes, bits: int) -> NDArray[np.integer]:
    """As the node decodes."""
    size = claim(data)
    if size is None:
        return decoders.decode_rle(data, SIDE, SIDE, 1, bits // 8)
    return decoders.decode(data, size)


def by_pydicom(plugin: str) -> Callable[[Case, bytes, int], NDArray[np.integer] | None]:
    """As pydicom decodes with one of its plugins; None where that is not for it."""

    def decode(case: Case, data: bytes, bits: int) -> NDArray[np.integer] | None:
        decoder = get_decoder(case.syntax)
        if plugin not in decoder.available_plugins:
            return None
        size = {"rows": SIDE, "columns": SIDE, "samples_per_pixel": 1, "number_of_frames": 1}
        depth = {"bits_allocated": 8 if bits <= 8 else 16, "bits_stored": bits, "pixel_representation": 0}
        other = {"photometric_interpretation": "MONOCHROME2", "pixel_keyword": "PixelData"}
        found, _ = decoder.as_array(
            fragments(data, end=b""), raw=True, decoding_plugin=plugin, **size, **depth, **other
        )
        return found

    return decode


def by_opencv(case: Case, data: bytes, _bits: int) -> NDArray[np.integer] | None:
    """As OpenCV decodes, which knows no DICOM."""
    if case.syntax in (JPEGLSLossless, JPEGLSNearLossless, RLELossless):
        return None
    import cv2

    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None:
        raise ValueError("nothing decoded")
    return found


def by_dcmtk(case: Case, data: bytes, bits: int) -> NDArray[np.integer] | None:
    """As dcmtk's programs decode."""
    programs = {RLELossless: "dcmdrle", JPEGLSLossless: "dcmdjpls", JPEGLSNearLossless: "dcmdjpls"}
    program = programs.get(case.syntax, "dcmdjpeg")
    if "JPEG 2000" in case.process or shutil.which(program) is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        header = described(bits, 8 if bits <= 8 else 16, side=SIDE)
        path = raw(header, fragments(data), Path(folder) / "in.dcm", case.syntax)
        subprocess.run([program, str(path), f"{folder}/out.dcm"], check=True, capture_output=True, timeout=60)
        return dcmread(f"{folder}/out.dcm").pixel_array


DECODERS: dict[str, Callable[[Case, bytes, int], NDArray[np.integer] | None]] = {
    "imagecodecs (the node)": node,
    "pylibjpeg": by_pydicom("pylibjpeg"),
    "pyjpegls": by_pydicom("pyjpegls"),
    "Pillow": by_pydicom("pillow"),
    "OpenCV": by_opencv,
    "GDCM": by_pydicom("gdcm"),
    "dcmtk": by_dcmtk,
}


def verdict(name: str, case: Case) -> str:
    """What a decoder makes of a case, in a process of its own."""
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)

    def judge() -> None:
        sending.send(judged(name, case))

    process = context.Process(target=judge)
    process.start()
    sending.close()
    try:
        return receiving.recv()
    except EOFError:
        return "ENDS THE PROCESS"
    finally:
        process.join()


def judged(name: str, case: Case) -> str:
    """``right``, or at which depths it is wrong or refuses; a dash where it is not for the process."""
    wrong, refused = [], []
    for bits, data, expected in case.made:
        try:
            found = DECODERS[name](case, data, bits)
        except BaseException:  # whatever a decoder raises
            refused.append(bits)
            continue
        if found is None:
            return "-"
        off = (
            found.shape != expected.shape or np.abs(found.astype(np.int64) - expected).max() > case.tolerance
        )
        if off:
            wrong.append(bits)
    said = [
        f"{word} at {', '.join(map(str, d))}" for word, d in (("WRONG", wrong), ("refuses", refused)) if d
    ]
    return "; ".join(said) or "right"


def seconds(decode: Callable[[], object]) -> float:
    """The least of three."""
    taken = []
    for _ in range(3):
        began = process_time()
        decode()
        taken.append(process_time() - began)
    return min(taken)


def speeds() -> list[str]:
    """Milliseconds of a processor for an image of 3000 x 2500 and 12 bits, beside what pydicom tries first."""
    picture = np.kron(scene(12, 125), np.ones((24, 20), np.uint16))
    picture = np.clip(picture + np.random.default_rng(1).integers(0, 16, picture.shape), 0, 4095).astype(
        np.uint16
    )
    assert picture.shape == LARGE
    lines = ["| 3000 x 2500, 12 bits | imagecodecs (the node) | pylibjpeg, pyjpegls |", "|---|---|---|"]
    for name, syntax in (
        ("JPEG Extended", JPEGExtended12Bit),
        ("JPEG Lossless", JPEGLosslessSV1),
        ("JPEG-LS", JPEGLSLossless),
        ("JPEG 2000, reversible", JPEG2000Lossless),
    ):
        data = codestream(picture, 12, syntax)
        size = claim(data)
        plugin = "pyjpegls" if syntax == JPEGLSLossless else "pylibjpeg"
        options = {
            "rows": LARGE[0], "columns": LARGE[1], "samples_per_pixel": 1, "number_of_frames": 1, "bits_allocated": 16,
            "bits_stored": 12, "pixel_representation": 0, "photometric_interpretation": "MONOCHROME2",
            "pixel_keyword": "PixelData",
        }  # fmt: skip
        whole = fragments(data, end=b"")
        ours = seconds(lambda data=data, size=size: decoders.decode(data, size))
        theirs = seconds(
            lambda syntax=syntax, whole=whole, plugin=plugin, options=options: get_decoder(syntax).as_array(
                whole, raw=True, decoding_plugin=plugin, **options
            )
        )
        lines.append(f"| {name} | {ours * 1000:.0f} ms | {theirs * 1000:.0f} ms |")
    return lines


def table() -> str:
    """The table in Markdown."""
    lines = [f"| process | {' | '.join(DECODERS)} |", "|---" * (len(DECODERS) + 1) + "|"]
    lines += [
        f"| {case.process} | {' | '.join(verdict(name, case) for name in DECODERS)} |" for case in cases()
    ]
    return "\n".join(lines)


def versions() -> str:
    """Of what was compared."""
    packages = ("imagecodecs", "pylibjpeg-libjpeg", "pylibjpeg-openjpeg", "pylibjpeg-rle", "pyjpegls", "pillow",
                "opencv-python-headless", "python-gdcm")  # fmt: skip
    found = []
    for package in packages:
        try:
            found.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return f"{', '.join(found)}; pydicom {pydicom.__version__}"


def main() -> None:
    """Print the tables, or write them into a page between its marks."""
    made = f"{table()}\n\nMeasured with {versions()}.\n\n" + "\n".join(speeds())
    if len(sys.argv) < 2:
        print(made)
        return
    page = Path(sys.argv[1])
    before, _, rest = page.read_text().partition(START)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{START}\n{made}\n{END}{after}")


if __name__ == "__main__":
    main()
