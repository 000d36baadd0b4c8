"""What a header says of the pixel data (Image Pixel Module, PS3.3 C.7.6.3)."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom import Dataset
from pydicom.pixels.common import PhotometricInterpretation
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from xrv_node.attributes import number
from xrv_node.errors import ImageError
from xrv_node.radiograph.header import transfer_syntax
from xrv_node.radiograph.image import check_size
from xrv_node.radiograph.lookup import Stored, photometric
from xrv_node.radiograph.syntaxes import LOSSY, decodes
from xrv_node.reasons import Reason

SAMPLES = {
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
"""By Photometric Interpretation, those of a pixel."""
_ASSUMED = {"MONOCHROME": "MONOCHROME2"}
"""What devices write and what it is taken for."""
_TERMS = frozenset(PhotometricInterpretation)
_NO_TERM = "?"
"""Said of what the standard does not define, which is not quoted: in a damaged header a name may be there."""
_BITS_ALLOCATED = (1, 8, 16, 32)


@dataclass(frozen=True, slots=True)
class Layout:
    """What the header says, checked as far as it can be without the pixel data."""

    syntax: UID
    rows: int
    columns: int
    photometric: str
    planar: int
    stored: Stored
    cautions: tuple[Reason, ...]

    @property
    def samples(self) -> int:
        """Samples of a pixel."""
        return SAMPLES[self.photometric]

    @property
    def native_length(self) -> int:
        """Bytes of the frame where it is not compressed (PS3.5 8.1.1; YBR_FULL_422: PS3.3 C.7.6.3.1.2)."""
        samples = 2 if self.photometric == "YBR_FULL_422" else self.samples
        return (samples * self.rows * self.columns * self.stored.bits_allocated + 7) // 8


def layout(dataset: Dataset) -> Layout:
    """Read the layout off a header.

    Parameters
    ----------
    dataset
        As ``header.read_object`` returns it.

    Raises
    ------
    ImageError
        No single frame, none or too many pixels, a transfer syntax or a Photometric Interpretation that is
        not read, no Pixel Data.
    """
    syntax = _syntax(dataset)
    rows, columns = _integer(dataset, "Rows", 0), _integer(dataset, "Columns", 0)
    check_size(rows, columns)
    frames = _integer(dataset, "NumberOfFrames", 1)
    if frames > 1:
        raise ImageError(Reason("image-has-frames", frames=frames))
    count = _integer(dataset, "SamplesPerPixel", 1)
    said = photometric(dataset) or ("MONOCHROME2" if count == 1 else "RGB")
    taken = _ASSUMED.get(said, said)
    if SAMPLES.get(taken) != count:
        term = said if said in _TERMS else _NO_TERM
        raise ImageError(Reason("photometric-unsupported", photometric=f"{term!a}", count=count))
    cautions = () if said == taken else (Reason("photometric-assumed", said=said, taken=taken),)
    planar = _integer(dataset, "PlanarConfiguration", 0)
    return Layout(syntax, rows, columns, taken, planar, _stored(dataset, syntax), cautions)


def check_bits(stored: Stored) -> None:
    """Refuse a depth that a container cannot have; only a codestream tells better.

    Raises
    ------
    ImageError
        As said.
    """
    allocated, bits = stored.bits_allocated, stored.bits_stored
    if allocated not in _BITS_ALLOCATED or not 1 <= bits <= allocated:
        raise ImageError(Reason("bits-unsupported", allocated=allocated, bits=bits))


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


def _stored(dataset: Dataset, syntax: UID) -> Stored:
    allocated = _integer(dataset, "BitsAllocated", 0)
    bits = _integer(dataset, "BitsStored", allocated)
    high_bit = _integer(dataset, "HighBit", bits - 1)
    if not bits - 1 <= high_bit < allocated:
        high_bit = bits - 1
    signed = _integer(dataset, "PixelRepresentation", 0) == 1
    return Stored(allocated, bits, high_bit, signed, syntax in LOSSY)


def _integer(dataset: Dataset, keyword: str, default: int) -> int:
    value = number(dataset, keyword)
    return default if value is None else int(value)
