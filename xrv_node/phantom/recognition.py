"""Which networks may answer an image: those for phantoms a phantom, those for patients everything else.

A phantom is recognised, never suspected: by the mark in its pixels and a header that says quality control,
both. What has only one of the two is answered by nobody.
"""

from __future__ import annotations

from xrv_node.errors import WithheldError
from xrv_node.frontal import says_quality_control
from xrv_node.phantom.mark import Match, find
from xrv_node.radiograph.image import Radiograph
from xrv_node.reasons import Reason

NOT_A_PHANTOM = Reason("not-a-phantom")
"""What is said of an image that only the networks for phantoms are there for, and that is none."""

MARKED = Reason("marked-without-header")
"""Of a phantom's pixels in an image that does not say so."""


def see_that_it_may_be_answered(radiograph: Radiograph, *, by_phantom_set: bool) -> Match:
    """Refuse an image that a set of networks must not answer.

    Parameters
    ----------
    radiograph
        As read: a picture has no header, and is no phantom.
    by_phantom_set
        Whether the networks are those for phantoms.

    Returns
    -------
    Match
        Where the mark is, or comes nearest.

    Raises
    ------
    WithheldError
        By the networks for phantoms, an image whose header does not say quality control or that does not bear
        the mark; by those for patients, one that does either.
    """
    header = radiograph.header
    says = header is not None and says_quality_control(header)
    if not by_phantom_set:
        found = find(radiograph.pixels, search=says)
        if found.marked:
            raise WithheldError(MARKED, found.z)
        return found
    if not says:
        raise WithheldError(NOT_A_PHANTOM)
    found = find(radiograph.pixels)
    if not found.marked:
        raise WithheldError(NOT_A_PHANTOM, found.z)
    return found
