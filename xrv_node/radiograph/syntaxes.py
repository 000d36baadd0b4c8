"""Which transfer syntaxes the installed decoders read."""

from __future__ import annotations

from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID


def decodes(syntax: str) -> bool:
    """Tell whether images in a transfer syntax can be analysed.

    Parameters
    ----------
    syntax
        A Transfer Syntax UID, or anything that a peer put in the place of one.

    Returns
    -------
    bool
        Whether pydicom has a decoder for it and one of the packages that the decoder needs is installed.
    """
    try:
        return bool(get_decoder(UID(syntax)).is_available)
    except NotImplementedError:
        return False
