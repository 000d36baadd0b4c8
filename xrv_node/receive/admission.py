"""Which associations are let in."""

from __future__ import annotations

from xrv_node.disk import Gate
from xrv_node.reasons import Reason
from xrv_node.receive import association as acse
from xrv_node.receive.association import Rejection
from xrv_node.settings.receive import ReceiveSection

KEPT = 4
"""One in so many places is kept for addresses that have no association yet: who has taken many, and does
nothing with them, shall not keep those out who come with work."""


def refusal(ours: ReceiveSection, gate: Gate, calling: str, called: str) -> tuple[Rejection, Reason] | None:
    """Tell why a peer is not let in, and the line of the configuration that would do so.

    Parameters
    ----------
    calling, called
        The AE titles of its request.
    """
    if called != ours.ae_title:
        remedy = Reason("called-another-title", called=called, title=ours.ae_title)
        return acse.CALLED_AE_NOT_RECOGNIZED, remedy
    if ours.allowed_calling_ae and calling not in ours.allowed_calling_ae:
        return acse.CALLING_AE_NOT_RECOGNIZED, _stranger(calling)
    if why := gate.refusal():
        return acse.LOCAL_LIMIT_EXCEEDED, why
    return None


def crowded(ours: ReceiveSection, everybody: int, its_own: int) -> Reason | None:
    """Tell why there is no place for one more association.

    Parameters
    ----------
    everybody, its_own
        How many associations there would be with it, and how many of them from its address.
    """
    for count, key in ((everybody, "max_associations"), (its_own, "max_associations_per_peer")):
        if count > (limit := getattr(ours, key)):
            return Reason("too-many-associations", limit=limit, setting=key)
    kept = ours.max_associations // KEPT
    if its_own > 1 and everybody > ours.max_associations - kept:
        return Reason("seats-kept", kept=kept, limit=ours.max_associations)
    return None


def _stranger(calling: str) -> Reason:
    """Why a caller is not let in: one whose title can stand in the list is to be added to it."""
    if not calling:
        return Reason("caller-without-title")
    if "\\" in calling:  # only what was escaped has one
        return Reason("caller-title-no-text", calling=calling)
    return Reason("caller-not-let-in", calling=calling)
