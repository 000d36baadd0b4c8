"""The way to a peer, and that from this machine to the node whose configuration is at hand."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from xrv_node import tls
from xrv_node.errors import ConfigError
from xrv_node.network.terms import Peer
from xrv_node.settings import Settings


@dataclass(frozen=True, slots=True)
class Way:
    """Whom something goes to, and how."""

    peer: Peer
    context: ssl.SSLContext | None = None
    """For TLS; None: without."""

    def __str__(self) -> str:
        peer = self.peer
        return f"{peer.ae_title}@{peer.host}:{peer.port}" + (" over TLS" if self.context else "")


def to_itself(settings: Settings, calling_ae: str) -> Way:
    """Return the way to the node itself: over TLS where it speaks that, with its own certificate.

    Raises
    ------
    ConfigError
        The node has no port of a known number, does not let itself in under that title, or a file of its TLS
        is not there.
    """
    receive = settings.receive
    if not receive.port:
        raise ConfigError("receive.port is 0, any that is free: name the node and the port that it told")
    if remedy := receive.keeps_itself_out(calling_ae):
        raise ConfigError(f"the node does not let {calling_ae} in from {receive.own_address}: {remedy}")
    peer = Peer(receive.ae_title, receive.own_address, receive.port)
    return Way(peer, tls.own_context(receive.tls) if receive.tls else None)
