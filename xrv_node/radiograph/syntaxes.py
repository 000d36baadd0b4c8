"""Which transfer syntaxes are read, and what each says of the pixel data."""

from __future__ import annotations

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

from xrv_node.radiograph import decoders
from xrv_node.radiograph.codestream import Process

NATIVE = frozenset(
    {ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian}
)
PROCESSES: dict[str, Process] = {
    JPEGBaseline8Bit: Process.JPEG,
    JPEGExtended12Bit: Process.JPEG,
    JPEGLossless: Process.JPEG_LOSSLESS,
    JPEGLosslessSV1: Process.JPEG_LOSSLESS,
    JPEGLSLossless: Process.JPEG_LS,
    JPEGLSNearLossless: Process.JPEG_LS,
    JPEG2000Lossless: Process.JPEG_2000,
    JPEG2000: Process.JPEG_2000,
    HTJ2KLossless: Process.JPEG_2000,
    HTJ2KLosslessRPCL: Process.JPEG_2000,
    HTJ2K: Process.JPEG_2000,
    RLELossless: Process.RLE,
}
"""How the pixel data are coded (PS3.5 A.4)."""
LOSSY = frozenset({JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless, JPEG2000, HTJ2K})


def decodes(syntax: str) -> bool:
    """Tell whether images in a transfer syntax can be analysed.

    Parameters
    ----------
    syntax
        A Transfer Syntax UID, or anything that a peer put in the place of one.

    Returns
    -------
    bool
        Whether it is read here; for compressed pixel data the decoders must be installed.
    """
    return syntax in NATIVE or (syntax in PROCESSES and decoders.is_installed())
