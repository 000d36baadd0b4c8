"""Which associations are let in."""

from __future__ import annotations

from xrv_node.disk import Gate
from xrv_node.reasons import Reason
from xrv_node.receive import association as acse
from xrv_node.receive.association import Rejection
from xrv_node.settings.receive import ReceiveSection


def refusal(
    ours: ReceiveSection, gate: Gate, calling: str, called: str, present: tuple[int, int]
) -> tuple[Rejection, Reason] | None:
    """Tell why a peer is not let in, and the line of the configuration that would do so.

    Parameters
    ----------
    calling, called
        The AE titles of its request.
    present
        How many associations there are with it, and how many of them from its address.
    """
    everybody, its_own = present
    if called != ours.ae_title:
        remedy = Reason("called-another-title", called=called, title=ours.ae_title)
        return acse.CALLED_AE_NOT_RECOGNIZED, remedy
    if ours.allowed_calling_ae and calling not in ours.allowed_calling_ae:
        return acse.CALLING_AE_NOT_RECOGNIZED, Reason("caller-not-let-in", calling=calling)
    for count, key in ((everybody, "max_associations"), (its_own, "max_associations_per_peer")):
        if count > (limit := getattr(ours, key)):
            remedy = Reason("too-many-associations", limit=limit, setting=key)
            return acse.LOCAL_LIMIT_EXCEEDED, remedy
    if why := gate.refusal():
        return acse.LOCAL_LIMIT_EXCEEDED, why
    return None
