"""Whether the decoders here give the values that they gave when the samples beside this file were made.

A package that is upgraded may change pictures without a word. The samples are codestreams of `picture`, one a
transfer syntax and depth; all together are decoded in milliseconds, once a process."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pydicom.uid
from numpy.typing import NDArray

from xrv_node.errors import ImageError
from xrv_node.radiograph import decoders
from xrv_node.radiograph.codestream import Process, claim
from xrv_node.radiograph.syntaxes import PROCESSES
from xrv_node.reasons import Reason

SAMPLES = Path(__file__).parent / "samples"
ROWS, COLUMNS = 36, 32
"""No smaller: OpenJPEG's encoder halves an image five times."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A codestream of `picture`."""

    syntax: str
    """Keyword of the transfer syntax."""
    bits: int
    kind: str = ""
    """What is special about it."""
    tolerance: int = 0
    """How far a decoded value may be from the one that was encoded, in steps of the depth."""
    signed: bool = False

    @property
    def path(self) -> Path:
        """Its file."""
        return SAMPLES / "-".join(filter(None, (self.syntax, str(self.bits), self.kind)))

    @property
    def uid(self) -> str:
        """Its transfer syntax."""
        return str(getattr(pydicom.uid, self.syntax))


ALL = (
    Sample("JPEGBaseline8Bit", 8, tolerance=2),
    Sample("JPEGExtended12Bit", 8, tolerance=2),
    Sample("JPEGExtended12Bit", 12, tolerance=4),
    *(Sample("JPEGLossless", bits) for bits in (8, 10, 12, 14, 16)),
    *(Sample("JPEGLossless", 12, f"predictor{number}") for number in (2, 3, 4, 5, 6, 7)),
    *(Sample("JPEGLosslessSV1", bits) for bits in (8, 10, 12, 14, 16)),
    *(Sample("JPEGLosslessSV1", bits, "modulo") for bits in (8, 12)),
    *(Sample("JPEGLSLossless", bits) for bits in (8, 10, 12, 14, 16)),
    *(Sample("JPEGLSNearLossless", bits, tolerance=2) for bits in (8, 12, 16)),
    *(Sample("JPEG2000Lossless", bits) for bits in (8, 10, 12, 14, 16)),
    Sample("JPEG2000Lossless", 12, "signed", signed=True),
    *(Sample("JPEG2000", bits, tolerance=8) for bits in (8, 12, 16)),
    *(Sample("HTJ2KLossless", bits) for bits in (8, 16)),
    *(Sample("HTJ2KLosslessRPCL", bits) for bits in (8, 16)),
    *(Sample("HTJ2K", bits, tolerance=1 << (bits - 8)) for bits in (8, 16)),
    *(Sample("RLELossless", bits) for bits in (8, 16)),
)
"""Of every compressed transfer syntax that is read. ``modulo``: differences beyond the range (ISO/IEC 10918-1
H.1.2.1)."""


def picture(bits: int) -> NDArray[np.int64]:
    """Return the picture that all samples are of.

    Parameters
    ----------
    bits
        Its depth.

    Returns
    -------
    numpy.ndarray
        ``[ROWS, COLUMNS]``, a wave from 0 to the largest value; computed in whole numbers.
    """
    rows, columns = np.mgrid[0:ROWS, 0:COLUMNS].astype(np.int64)
    wave = np.abs((rows * 5 + columns * 3) % 96 - 48)
    values: NDArray[np.int64] = wave * ((1 << bits) - 1) // 48
    return values


def require(syntax: str, process: Process) -> None:
    """Refuse an image whose decoder is wrong here.

    Parameters
    ----------
    syntax
        Transfer Syntax UID of the image.
    process
        How its pixel data are coded, whatever the transfer syntax says.

    Raises
    ------
    ImageError
        The transfer syntax, or where it is another process's, any of that process is decoded wrongly.
    """
    own = PROCESSES.get(syntax) == process
    for bad in wrong():
        if bad == syntax or (not own and PROCESSES[bad] == process):
            raise ImageError(fault(bad))


def fault(syntax: str) -> Reason:
    """Say that a transfer syntax is decoded wrongly, and what to do."""
    return Reason("decoder-wrong", decoder=decoders.name(), syntax=pydicom.uid.UID(syntax).name)


@lru_cache(maxsize=1)
def wrong() -> tuple[str, ...]:
    """Return the transfer syntaxes that the decoders here get wrong, each once."""
    return tuple(dict.fromkeys(sample.uid for sample in ALL if not is_right(sample)))


def is_right(sample: Sample) -> bool:
    """Tell whether a sample is decoded to the values that are recorded."""
    try:
        decoded = _decoded(sample)
    except Exception:  # each decoder has errors of its own
        return False
    expected = picture(sample.bits) - (sample.signed << (sample.bits - 1))
    return decoded.shape == expected.shape and int(np.abs(decoded - expected).max()) <= sample.tolerance


def _decoded(sample: Sample) -> NDArray[np.int64]:
    data = sample.path.read_bytes()
    if PROCESSES[sample.uid] == Process.RLE:
        return decoders.decode_rle(data, ROWS, COLUMNS, 1, sample.bits // 8).astype(np.int64)
    size = claim(data)
    if size is None or (size.precision, size.signed) != (sample.bits, sample.signed):
        raise ValueError(f"{sample.path.name} is damaged")
    return decoders.decode(data, size).astype(np.int64)
