"""The pixels of a DICOM object: decode, then show as PS3.3 says."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.datadict import keyword_for_tag
from pydicom.encaps import encapsulate, generate_fragments, parse_basic_offsets
from pydicom.pixels.common import PhotometricInterpretation
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
    RLELossless,
)

from xrv_node.attributes import number, text
from xrv_node.errors import ImageError
from xrv_node.radiograph.codestream import bare, claim, has_end
from xrv_node.radiograph.header import transfer_syntax
from xrv_node.radiograph.header_limits import passed_over, too_large
from xrv_node.radiograph.image import RGB_WEIGHTS, Pixels, Radiograph, check_size, luminance
from xrv_node.radiograph.lookup import Rendering, Stored, rendering
from xrv_node.radiograph.syntaxes import decodes
from xrv_node.reasons import Reason

_LOSSY = frozenset({JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless, JPEG2000, HTJ2K})
_SAMPLES = {
    "MONOCHROME1": 1,
    "MONOCHROME2": 1,
    "PALETTE COLOR": 1,
    "RGB": 3,
    "YBR_FULL": 3,
    "YBR_FULL_422": 3,
    "YBR_PARTIAL_420": 3,
    "YBR_PARTIAL_422": 3,
    "YBR_ICT": 3,
    "YBR_RCT": 3,
}
_SHOWN_BY = frozenset({0x0028, 0x2050})
"""Groups of what says how the pixels are stored and shown (PS3.6): without it the image is another one."""
_COLOUR_PROFILE = 0x00282000
"""ICC Profile, which is not applied."""
_TERMS = frozenset(PhotometricInterpretation)
_NO_TERM = "?"
"""Said of what the standard does not define, which is not quoted: in a damaged header a name may be there."""
_PLUGINS = {RLELossless: "pylibjpeg"}
"""Where the first decoder that pydicom tries is the wrong one: its own for RLE fills as much memory as the
segments ask for, this one as much as the image has."""
_PALETTE = tuple(f"{colour}PaletteColorLookupTableData" for colour in ("Red", "Green", "Blue"))
_BITS_ALLOCATED = (1, 8, 16, 32)
_TABLE_BITS = 16
"""Up to this depth the pipeline is computed once per possible value and looked up."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """The Image Pixel Module (PS3.3 C.7.6.3), checked."""

    syntax: UID
    rows: int
    columns: int
    photometric: str
    planar: int
    stored: Stored

    @property
    def samples(self) -> int:
        return _SAMPLES[self.photometric]


def decode(dataset: Dataset) -> Radiograph:
    """Decode a DICOM image and bring it to what the radiologist would see.

    Parameters
    ----------
    dataset
        As ``header.read_object`` returns it. Its pixel data are removed: what is left becomes the header.

    Returns
    -------
    Radiograph
        Colour images become grey (luma of BT.601; the Y of a YBR image) and skip the grey-scale pipeline.

    Raises
    ------
    ImageError
        If the object has no single frame that can be decoded.
    """
    for tag in sorted(passed_over(dataset)):
        if tag.group in _SHOWN_BY and tag != _COLOUR_PROFILE:
            raise too_large(keyword_for_tag(tag) or str(tag))
    layout = _layout(dataset)
    samples, photometric = _samples(dataset, layout)
    if layout.photometric == "PALETTE COLOR":
        samples = _palette(samples, dataset, layout.syntax)
        high = int(np.iinfo(samples.dtype).max)
    else:
        high = (1 << layout.stored.bits_stored) - 1
    for keyword in ("PixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        dataset.pop(keyword, None)
    if samples.ndim == 3:
        # the Y of a YBR image is the luma already
        grey = samples[..., 0] if photometric.startswith("YBR") else luminance(samples, RGB_WEIGHTS)
        return Radiograph(np.ascontiguousarray(grey), 0.0, float(high), dataset)
    view = rendering(dataset, layout.stored)
    return Radiograph(_show(samples, layout.stored, view), view.low, view.high, dataset)


def _layout(dataset: Dataset) -> _Layout:
    syntax = _syntax(dataset)
    rows, columns = _integer(dataset, "Rows", 0), _integer(dataset, "Columns", 0)
    check_size(rows, columns)
    frames = _integer(dataset, "NumberOfFrames", 1)
    if frames > 1:
        raise ImageError(Reason("image-has-frames", frames=frames))
    count = _integer(dataset, "SamplesPerPixel", 1)
    photometric = text(dataset, "PhotometricInterpretation").upper()
    photometric = photometric or ("MONOCHROME2" if count == 1 else "RGB")
    if _SAMPLES.get(photometric) != count:
        term = photometric if photometric in _TERMS else _NO_TERM
        raise ImageError(Reason("photometric-unsupported", photometric=f"{term!a}", count=count))
    allocated = _integer(dataset, "BitsAllocated", 0)
    bits = _integer(dataset, "BitsStored", allocated)
    if allocated not in _BITS_ALLOCATED or not 1 <= bits <= allocated:
        raise ImageError(Reason("bits-unsupported", allocated=allocated, bits=bits))
    high_bit = _integer(dataset, "HighBit", bits - 1)
    if not bits - 1 <= high_bit < allocated or (syntax.is_encapsulated and syntax != RLELossless):
        high_bit = bits - 1  # codecs deliver the samples right-aligned
    signed = _integer(dataset, "PixelRepresentation", 0) == 1
    stored = Stored(allocated, bits, high_bit, signed, syntax in _LOSSY)
    return _Layout(syntax, rows, columns, photometric, _integer(dataset, "PlanarConfiguration", 0), stored)


def _syntax(dataset: Dataset) -> UID:
    syntax = transfer_syntax(dataset)
    if syntax is not None and not decodes(syntax):
        name = syntax.name if syntax.is_valid else _NO_TERM
        raise ImageError(Reason("transfer-syntax-unsupported", syntax=f"{name!a}"))
    if "PixelData" not in dataset:
        raise ImageError(Reason("no-pixel-data"))
    if syntax is not None:
        return syntax
    if dataset["PixelData"].is_undefined_length:
        raise ImageError(Reason("no-transfer-syntax"))
    implicit, little_endian = dataset.original_encoding
    explicit = ExplicitVRBigEndian if little_endian is False else ExplicitVRLittleEndian
    return ImplicitVRLittleEndian if implicit else explicit


def _samples(dataset: Dataset, layout: _Layout) -> tuple[NDArray[np.integer], str]:
    """Decode the frame to ``[rows, columns]`` or ``[rows, columns, 3]``, and say how colours are coded."""
    element = dataset["PixelData"]
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
        "pixel_vr": element.VR,
        # `Stored.values` does this, with the high bit
        "correct_unused_bits": False,
        "allow_excess_frames": False,
    }
    data: bytes = element.value or b""
    if layout.syntax.is_encapsulated:
        data = _checked_codestream(data, layout)
    else:
        options["view_only"] = True
        _check_length(data, layout)
    try:
        samples, properties = get_decoder(layout.syntax).as_array(
            data, raw=True, decoding_plugin=_PLUGINS.get(layout.syntax, ""), **options
        )
    except BaseException as error:  # bytes from outside: each decoder has errors of its own
        # what the RLE decoder (in Rust) raises when it panics is no Exception
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        raise ImageError(Reason("pixels-undecodable", syntax=layout.syntax.name)) from error
    return samples, str(properties["photometric_interpretation"])


def _check_length(data: bytes, layout: _Layout) -> None:
    if layout.photometric == "YBR_FULL_422":
        samples = 2 * layout.rows * layout.columns
    else:
        samples = layout.samples * layout.rows * layout.columns
    expected = (samples * layout.stored.bits_allocated + 7) // 8
    if len(data) < expected:
        raise ImageError(Reason("pixels-truncated", there=len(data), expected=expected))


def _checked_codestream(data: bytes, layout: _Layout) -> bytes:
    """Compare what the codestream claims with the header, before a decoder believes it."""
    try:
        # All fragments are the one frame's, whatever the offset table says: some devices write a wrong one.
        fragments = BytesIO(data)
        parse_basic_offsets(fragments)
        frame = b"".join(generate_fragments(fragments))
    except Exception as error:  # fragments from outside (PS3.5 A.4)
        raise ImageError(Reason("fragments-damaged")) from error
    if layout.syntax == RLELossless:
        return encapsulate([frame], has_bot=False)
    size = claim(frame)
    if size is None:
        raise ImageError(Reason("pixels-of-other-syntax", syntax=layout.syntax.name))
    if (size.rows, size.columns, size.components) != (layout.rows, layout.columns, layout.samples):
        stated, found = f"{layout.rows} x {layout.columns}", f"{size.rows} x {size.columns}"
        samples = {"samples": layout.samples, "count": size.components}
        raise ImageError(Reason("size-contradicts-header", size=stated, other=found, **samples))
    if not has_end(frame):
        raise ImageError(Reason("no-end-marker"))
    # pydicom 3.0 walks the boxes of a JP2 file without end where one has length 0
    return encapsulate([bare(frame)], has_bot=False)


def _palette(samples: NDArray[np.integer], dataset: Dataset, syntax: UID) -> NDArray[np.integer]:
    try:
        if syntax == ExplicitVRBigEndian:
            # pydicom 3.0 reads the tables, which are OW, as if their words were little endian
            for name in _PALETTE:
                if table := dataset.get(name):
                    setattr(dataset, name, np.frombuffer(table, ">u2").astype("<u2").tobytes())
        colour: NDArray[np.integer] = apply_color_lut(samples, dataset)
    except Exception as error:  # a palette from outside
        raise ImageError(Reason("palette-damaged")) from error
    return colour[..., :3]


def _show(samples: NDArray[np.integer], stored: Stored, view: Rendering) -> Pixels:
    aligned = stored.high_bit == stored.bits_stored - 1
    if view.is_identity and aligned and stored.low <= samples.min() and samples.max() <= stored.high:
        return samples
    if samples.dtype.itemsize * 8 > _TABLE_BITS:
        return view.show(stored.values(samples))
    samples = samples.astype(samples.dtype.newbyteorder("="), copy=False)
    unsigned = samples.view(f"u{samples.dtype.itemsize}")
    possible = np.arange(1 << 8 * samples.dtype.itemsize, dtype=unsigned.dtype).view(samples.dtype)
    shown: NDArray[np.float32] = view.show(stored.values(possible))[unsigned]
    return shown


def _integer(dataset: Dataset, keyword: str, default: int) -> int:
    value = number(dataset, keyword)
    return default if value is None else int(value)
