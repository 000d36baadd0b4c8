"""The frame of a DICOM object to samples, by what the pixel data are and not by what is said of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import ExplicitVRLittleEndian

from xrv_node.errors import ImageError
from xrv_node.radiograph import decoder_check, decoders, depth
from xrv_node.radiograph.codestream import ImageClaim, Process, bare, claim, has_end, is_rle
from xrv_node.radiograph.jpeg import DamagedError
from xrv_node.radiograph.layout import Layout, check_bits
from xrv_node.radiograph.lookup import Stored
from xrv_node.radiograph.pixel_element import Frame, frame
from xrv_node.radiograph.syntaxes import NATIVE, PROCESSES
from xrv_node.reasons import Reason


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """The samples of an image."""

    samples: NDArray[np.integer]
    """``[rows, columns]`` or ``[rows, columns, 3]``."""
    stored: Stored
    """How the values lie in them."""
    photometric: str
    """How colours are coded."""
    cautions: tuple[Reason, ...] = ()
    """Where file, header and pixel data do not say the same."""


def decode(dataset: Dataset, layout: Layout) -> Decoded:
    """Decode the frame of an object.

    Parameters
    ----------
    dataset
        With its Pixel Data as they are.
    layout
        What its header says.

    Raises
    ------
    ImageError
        Pixel data that are none, truncated, damaged or of another size than the header's; a decoder that is
        wrong here.
    """
    found = frame(dataset)
    size = claim(found.data)
    if size and size.process == Process.PNG:
        size = None
    process = _process(found.data, size, layout)
    cautions = (*layout.cautions, *_cautions(found, process, layout))
    if process:
        decoder_check.require(layout.syntax, process)
    if process is None:
        decoded = _native(dataset, found.data, layout)
    elif size is None:
        decoded = _rle(found.data, layout)
    else:
        decoded = _codestream(dataset, found.data, size, layout)
    return replace(decoded, cautions=(*cautions, *decoded.cautions))


def _process(data: bytes, size: ImageClaim | None, layout: Layout) -> Process | None:
    """Tell how the frame is coded, by what a codestream says of itself; None for native pixels."""
    if not data:
        raise ImageError(Reason("no-pixel-data"))
    stated = PROCESSES.get(layout.syntax)
    is_native = 0 <= len(data) - layout.native_length <= 1  # padded to an even length
    if stated is None and (is_native or not (size or is_rle(data))):
        return None
    if size:
        return size.process
    if is_native:
        return None
    if stated == Process.RLE or is_rle(data):
        return Process.RLE
    raise ImageError(Reason("pixels-of-other-syntax", syntax=layout.syntax.name))


def _cautions(found: Frame, process: Process | None, layout: Layout) -> list[Reason]:
    stated = PROCESSES.get(layout.syntax)
    said = [] if found.delimited else [Reason("delimiter-missing")]
    if process != stated or found.in_fragments != (stated is not None):
        place = "in-fragments" if found.in_fragments else "in-one"
        what = Reason(f"coded-{place}", process=process) if process else Reason(f"native-{place}")
        said.append(Reason("pixels-not-as-syntax", syntax=layout.syntax.name, found=what))
    return said


def _native(dataset: Dataset, data: bytes, layout: Layout) -> Decoded:
    check_bits(layout.stored)
    if len(data) < layout.native_length:
        there = {"there": len(data), "expected": layout.native_length}
        raise ImageError(Reason("pixels-truncated", **there))
    options: dict[str, Any] = {
        "rows": layout.rows,
        "columns": layout.columns,
        "samples_per_pixel": layout.samples,
        "photometric_interpretation": layout.photometric,
        "planar_configuration": layout.planar,
        "bits_allocated": layout.stored.bits_allocated,
        "bits_stored": layout.stored.bits_stored,
        "pixel_representation": int(layout.stored.signed),
        "number_of_frames": 1,
        "pixel_keyword": "PixelData",
        "pixel_vr": dataset["PixelData"].VR,
        # `Stored.values` does this, with the high bit
        "correct_unused_bits": False,
        "allow_excess_frames": False,
        "view_only": True,
    }
    syntax = layout.syntax if layout.syntax in NATIVE else ExplicitVRLittleEndian
    with _refusing(layout, PROCESSES.get(layout.syntax)):
        samples, properties = get_decoder(syntax).as_array(data, raw=True, **options)
    return Decoded(samples, layout.stored, str(properties["photometric_interpretation"]))


def _rle(data: bytes, layout: Layout) -> Decoded:
    check_bits(layout.stored)
    with _refusing(layout, Process.RLE):
        itemsize = layout.stored.bits_allocated // 8
        samples = decoders.decode_rle(data, layout.rows, layout.columns, layout.samples, itemsize)
    if layout.stored.signed:
        samples = samples.view(f"<i{itemsize}")
    return Decoded(samples, layout.stored, layout.photometric)


def _codestream(dataset: Dataset, data: bytes, size: ImageClaim, layout: Layout) -> Decoded:
    """Decode what says its size and depth itself."""
    if (size.rows, size.columns, size.components) != (layout.rows, layout.columns, layout.samples):
        stated, found = f"{layout.rows} x {layout.columns}", f"{size.rows} x {size.columns}"
        counts = {"samples": layout.samples, "count": size.components}
        raise ImageError(Reason("size-contradicts-header", size=stated, other=found, **counts))
    if not has_end(data):
        raise ImageError(Reason("no-end-marker"))
    with _refusing(layout, size.process):
        decoded = decoders.decode(bare(data), size)
    if layout.samples > 1:
        # of JPEG 2000, the decoder undoes the colour transformation
        rgb = size.process == Process.JPEG_2000 and layout.photometric in ("YBR_ICT", "YBR_RCT")
        stored = replace(layout.stored, bits_stored=size.precision)
        return Decoded(decoded, stored, "RGB" if rgb else layout.photometric)
    said = replace(layout.stored, lossy=layout.stored.lossy or size.process == Process.JPEG)
    samples, stored, cautions = depth.reconcile(decoded, size, said, dataset)
    return Decoded(samples, stored, layout.photometric, cautions)


@contextmanager
def _refusing(layout: Layout, process: Process | None) -> Iterator[None]:
    """Turn what a decoder raises into a sentence: bytes from outside, and errors of each decoder's own."""
    try:
        yield
    except DamagedError as error:
        raise ImageError(Reason("pixels-damaged")) from error
    except Exception as error:
        name = layout.syntax.name if PROCESSES.get(layout.syntax) == process else str(process)
        raise ImageError(Reason("pixels-undecodable", syntax=name)) from error
