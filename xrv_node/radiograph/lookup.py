"""The grey-scale pipeline of PS3.3: what each stored value looks like to the radiologist.

The transformations (bits, modality, values of interest, polarity, padding; PS3.4 N.2) act on one value
at a time, and a 16-bit image has 65 536 different ones at most: they are computed for those, not for each
pixel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.pixels.common import PhotometricInterpretation

from xrv_node.attributes import number, text

Values = NDArray[np.float64]
Transformation = Callable[[Values], Values]
Step = tuple[Transformation | None, float, float]
"""What to do, and the range of what comes out."""


_SMALLEST, _LARGEST, _FARTHEST = 1e-30, 1e30, 1e3
"""A rescaled range that is narrower or wider than this, or so many of its widths away from 0, is a broken
rescale: float32 could not tell its values apart."""


@dataclass(frozen=True, slots=True)
class Stored:
    """How the samples are laid in their container (PS3.5 8.1.1, PS3.3 C.7.6.3)."""

    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    lossy: bool
    """Decoded from an irreversible codestream, whose samples may overshoot the stored range."""

    @property
    def low(self) -> int:
        """The smallest value that can be stored."""
        return -(1 << (self.bits_stored - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """The largest value that can be stored."""
        return (1 << (self.bits_stored - self.signed)) - 1

    def values(self, samples: NDArray[np.integer]) -> NDArray[np.int64]:
        """Take the stored values out of their containers.

        Parameters
        ----------
        samples
            Integers of `bits_allocated` bits, as decoded.

        Returns
        -------
        numpy.ndarray
            Values in [`low`, `high`]. Overlays in the unused high bits (retired, PS3.5 8.1.2) are masked
            away; where a lossy decoder overshoots, a mask would turn white into black, so it is clipped.
        """
        shifted: NDArray[np.int64] = samples.astype(np.int64) >> (self.high_bit + 1 - self.bits_stored)
        if self.lossy:
            return np.clip(shifted, self.low, self.high)
        values = shifted & ((1 << self.bits_stored) - 1)
        return values - ((values > self.high).astype(np.int64) << self.bits_stored)


@dataclass(frozen=True, slots=True, eq=False)
class Rendering:
    """The pipeline of one image."""

    modality: Transformation | None
    of_interest: Transformation | None
    low: float
    """The smallest value that can come out: black."""
    high: float
    """The largest value that can come out: white."""
    inverted: bool
    padding: tuple[int, int] | None
    """First and last stored value that stand for no image."""

    @property
    def is_identity(self) -> bool:
        """Whether every stored value is shown as it is."""
        return not (self.modality or self.of_interest or self.inverted or self.padding)

    def show(self, stored: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return what stored values look like.

        Parameters
        ----------
        stored
            Stored values, of any shape.

        Returns
        -------
        numpy.ndarray
            Same shape, in [`low`, `high`], bright is dense.
        """
        shown = stored.astype(np.float64)
        for transformation in filter(None, (self.modality, self.of_interest)):
            shown = transformation(shown)
        if self.inverted:
            shown = self.low + self.high - shown
        if self.padding:
            # whatever the polarity, padding is meant to be background (PS3.3 C.7.5.1.1.2)
            shown[(stored >= self.padding[0]) & (stored <= self.padding[1])] = self.low
        return shown.astype(np.float32)


def rendering(header: Dataset, stored: Stored) -> Rendering:
    """Read the grey-scale pipeline of a single-channel image off its header.

    The VOI LUT Sequence comes before the window where an image has both, and of several alternatives the
    first is taken: that is the vendor's default presentation, and the published data sets on which the
    networks were trained are exports of it. Without either, the range is all that can be stored, as in
    torchxrayvision's ``read_xray_dcm``.

    Parameters
    ----------
    header
        The attributes of the image.
    stored
        The layout of its samples.

    Returns
    -------
    Rendering
        Modality LUT (PS3.3 C.11.1), VOI LUT (C.11.2), polarity (Photometric Interpretation, C.7.6.3.1.2, and
        Presentation LUT Shape, C.11.6) and padding (C.7.5.1.1.2). An attribute without a usable value (a
        window of width 0, a rescale slope of 0, an empty LUT) counts as absent, as viewers treat it.
    """
    modality, low, high = _modality(header, stored.low, stored.high)
    of_interest, low, high = _values_of_interest(header, low, high)
    return Rendering(modality, of_interest, low, high, is_inverted(header), _padding(header, stored))


def photometric(header: Dataset) -> str:
    """Return Photometric Interpretation as the standard spells it.

    Parameters
    ----------
    header
        The attributes of the image.

    Returns
    -------
    str
        Upper case, without spaces and underscores that the term has not, as dcmtk reads it. What is no term
        comes back as it is; empty where there is none.
    """
    said = text(header, "PhotometricInterpretation").upper()
    return _TERMS.get(_only_letters(said), said)


def _only_letters(term: str) -> str:
    return "".join(c for c in term if c.isalnum())


_TERMS = {_only_letters(term): str(term) for term in PhotometricInterpretation}


def is_inverted(header: Dataset) -> bool:
    """Whether the smallest value is shown white.

    MONOCHROME1 with INVERSE is one inversion: DX demands the pair (PS3.3 C.8.11.3). MONOCHROME1 with IDENTITY
    contradicts itself: then the photometric interpretation counts, which every viewer goes by.
    """
    inverse = text(header, "PresentationLUTShape").upper() == "INVERSE"
    return photometric(header) == "MONOCHROME1" or inverse


def _modality(header: Dataset, low: float, high: float) -> Step:
    if table := first_table(header, "ModalityLUTSequence", low):
        return table.look_up, 0.0, table.white
    slope = number(header, "RescaleSlope") or 1.0
    intercept = number(header, "RescaleIntercept") or 0.0
    if (slope, intercept) == (1.0, 0.0):
        return None, low, high
    ends = sorted((low * slope + intercept, high * slope + intercept))
    width = ends[1] - ends[0]
    if not (_SMALLEST < width < _LARGEST and max(abs(end) for end in ends) < _FARTHEST * width):
        return None, low, high
    return lambda values: values * slope + intercept, ends[0], ends[1]


def _values_of_interest(header: Dataset, low: float, high: float) -> Step:
    if table := first_table(header, "VOILUTSequence", low):
        return table.look_up, 0.0, table.white
    center, width = number(header, "WindowCenter"), number(header, "WindowWidth")
    function = _WINDOWS.get(text(header, "VOILUTFunction") or "LINEAR", _linear)
    if center is None or width is None or width <= 0 or (function is _linear and width < 1):
        return None, low, high
    return lambda values: function(values, center, width), 0.0, 1.0


def _linear(values: Values, center: float, width: float) -> Values:
    """PS3.3 C.11.2.1.2.1; a width of 1 is a step."""
    if width == 1:
        return (values > center - 0.5).astype(np.float64)
    return np.clip((values - (center - 0.5)) / (width - 1) + 0.5, 0, 1)


def _linear_exact(values: Values, center: float, width: float) -> Values:
    """PS3.3 C.11.2.1.3.2."""
    return np.clip((values - center) / width + 0.5, 0, 1)


def _sigmoid(values: Values, center: float, width: float) -> Values:
    """PS3.3 C.11.2.1.3.1; the exponent is bounded where float64 would overflow."""
    return 1 / (1 + np.exp(np.clip(-4 * (values - center) / width, -700, 700)))


_WINDOWS = {"LINEAR": _linear, "LINEAR_EXACT": _linear_exact, "SIGMOID": _sigmoid}


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A lookup table that could be read (PS3.3 C.11.1, C.11.2)."""

    first: int
    """The value that the first entry is for."""
    entries: Values
    white: float
    """The largest value that the entries' bits can hold."""

    def look_up(self, values: Values) -> Values:
        """Values before the first entry take it, values behind the last take that (PS3.3 C.11.1.1.1)."""
        return self.entries[np.clip(np.rint(values).astype(np.int64) - self.first, 0, len(self.entries) - 1)]


def first_table(header: Dataset, keyword: str, low: float) -> Table | None:
    """Return the first item of a LUT sequence, None where there is none that can be read.

    Parameters
    ----------
    header
        The attributes of the image.
    keyword
        ``ModalityLUTSequence`` or ``VOILUTSequence``.
    low
        The smallest value that can go into it: below 0, its first value is read as signed.
    """
    try:
        item = header[keyword].value[0]
        count, first, _bits = (int(value) for value in item.LUTDescriptor)
        data = item.LUTData
        count = (count & 0xFFFF) or 1 << 16
        # the first value is signed where its input can be negative; devices write either VR (US or SS)
        first = (first & 0xFFFF) - (0x10000 if low < 0 and first & 0x8000 else 0)
        entries = _entries(data, count, little_endian=header.original_encoding[1] is not False)
    except Exception:  # a LUT from outside that cannot be read is not there: the next alternative is taken
        return None
    # the descriptor's third value is not believed: devices write 16 for tables of 10-bit entries
    white = (1 << int(entries.max(initial=0)).bit_length()) - 1
    return Table(first, entries.astype(np.float64), float(white)) if white else None


def _entries(data: object, count: int, *, little_endian: bool) -> NDArray[np.uint16]:
    if isinstance(data, bytes):
        # 8-bit entries may be packed two to a word (PS3.3 C.11.1.1.1)
        kind = ("<u2" if little_endian else ">u2") if len(data) >= 2 * count else "u1"
        return np.frombuffer(data, kind)[:count].astype(np.uint16)
    return (np.atleast_1d(np.asarray(data, dtype=np.int64)) & 0xFFFF).astype(np.uint16)[:count]


def _padding(header: Dataset, stored: Stored) -> tuple[int, int] | None:
    first = number(header, "PixelPaddingValue")
    if first is None:
        return None
    last = number(header, "PixelPaddingRangeLimit")
    # written as US for signed pixels and the other way round: compared in the pixels' own sign
    ends = sorted(_in_sign(int(value), stored) for value in (first, first if last is None else last))
    return ends[0], ends[1]


def _in_sign(value: int, stored: Stored) -> int:
    value &= (1 << stored.bits_allocated) - 1
    negative = stored.signed and value >> (stored.bits_allocated - 1)
    return value - (1 << stored.bits_allocated) if negative else value
