"""The protocol as a page (``templates/acceptance.html``)."""

from __future__ import annotations

from xrv_node.acceptance import wording
from xrv_node.acceptance.protocol import Protocol
from xrv_node.templates import render


def html(protocol: Protocol) -> str:
    """Return the page."""
    return render(
        "acceptance.html",
        warning=wording.WARNING,
        title=wording.TITLE,
        verdict=wording.verdict(protocol),
        good=protocol.good,
        purpose=wording.PURPOSE,
        fields=wording.fields(protocol),
        checks=protocol.checks,
        lines=wording.lines(protocol),
        colours=wording.COLOURS,
        limits=wording.LIMITS,
        stop=wording.STOP,
        signatures=wording.SIGNATURES,
    )
