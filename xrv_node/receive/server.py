"""The listening socket: a thread for each connection, and who may connect at all."""

from __future__ import annotations

import errno
import socket
import socketserver
import ssl
import threading
from contextlib import suppress
from ipaddress import ip_address
from time import monotonic, sleep
from typing import Any

import structlog

from xrv_node import tls
from xrv_node.db.store import Store
from xrv_node.errors import ConfigError
from xrv_node.receive import dimse
from xrv_node.receive.dimse import Receiver
from xrv_node.receive.peer_limits import Crowd, Pace
from xrv_node.receive.wire import Wire
from xrv_node.settings import Settings
from xrv_node.spool import Spool

log = structlog.get_logger("receive")

ARTIM_SECONDS = 30.0
"""How long a connection may take to its association request (the ARTIM timer, PS3.8 9.1.4), and to the end
of its TLS handshake."""

PREDECESSOR_SECONDS = 5.0
"""How long the port may still be a predecessor's, whose supervisor was killed."""

IDLE_CONNECTIONS = 2
"""Connections for each association that one address may have: the others can be told that there are too many.
Beyond that they are closed without a word, for each holds a thread and may say nothing until ARTIM ends."""
_TOO_MANY = "more than {most} connections at once (twice receive.max_associations_per_peer)"


class Server(socketserver.ThreadingTCPServer):
    """Listens from its construction on; :func:`start` makes one."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, receiver: Receiver, context: ssl.SSLContext | None) -> None:
        receive = receiver.settings.receive
        self.receiver = receiver
        self.context = context
        self.connections: set[socket.socket] = set()
        self.crowd = Crowd()
        """The connections, of which most have an association."""
        self.pace = Pace(receive.max_associations_per_minute)
        self.allow_reuse_port = receive.processes > 1
        self.address_family = socket.getaddrinfo(receive.host, None, type=socket.SOCK_STREAM)[0][0]
        super().__init__((receive.host, receive.port), socketserver.BaseRequestHandler)

    def verify_request(self, _request: Any, client_address: Any) -> bool:
        """Whether to talk to this address at all."""
        allowed = self.receiver.settings.receive.allowed_addresses
        address = ip_address(client_address[0].partition("%")[0])
        address = getattr(address, "ipv4_mapped", None) or address
        if not allowed or any(address in network for network in allowed):
            return True
        log.warning(
            "connection refused", address=str(address), remedy=f'add "{address}" to receive.allowed_addresses'
        )
        return False

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve one connection, in a thread of its own."""
        address = str(client_address[0])
        connection: socket.socket = request
        try:
            with self.crowd.visit(address) as (_, its_own):
                if its_own > (
                    most := IDLE_CONNECTIONS * self.receiver.settings.receive.max_associations_per_peer
                ):
                    log.warning("connection refused", address=address, remedy=_TOO_MANY.format(most=most))
                    return
                sleep(self.pace.turn(address))
                connection.settimeout(ARTIM_SECONDS)
                if self.context is not None:
                    # In this thread: a handshake that never ends must keep nobody else waiting.
                    connection = self.context.wrap_socket(connection, server_side=True)
                self.connections.add(connection)
                dimse.serve(Wire(connection, ARTIM_SECONDS), address, self.receiver)
        except (OSError, ValueError) as error:
            why = getattr(error, "reason", None) or error.__class__.__name__
            log.warning("connection failed", address=address, why=why)
        finally:
            self.connections.discard(connection)
            connection.close()


def start(settings: Settings, store: Store, spool: Spool, *, views_from_pixels: bool = False) -> Server:
    """Listen in threads of this process.

    Parameters
    ----------
    views_from_pixels
        As ``intake.accept`` takes it.

    Returns
    -------
    Server
        Listening; :func:`drain` stops it.

    Raises
    ------
    ConfigError
        When the address cannot be bound, or a TLS file is missing or wrong.
    """
    receive = settings.receive
    context = tls.server_context(receive.tls) if receive.tls is not None else None
    try:
        server = _bound(Receiver(settings, store, spool, views_from_pixels), context)
    except OSError as error:
        raise ConfigError(
            f"receive.host, receive.port: cannot listen on {receive.host}:{receive.port} ({error.strerror}); "
            "choose another or stop what listens there"
        ) from error
    threading.Thread(target=server.serve_forever, name="listener", daemon=True).start()
    return server


def _bound(receiver: Receiver, context: ssl.SSLContext | None) -> Server:
    patience = monotonic() + PREDECESSOR_SECONDS
    while True:
        try:
            return Server(receiver, context)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or monotonic() > patience:
                raise
            sleep(0.2)


def drain(server: Server, seconds: float) -> None:
    """Take no more associations, let the open ones end, break off what is left after `seconds`."""
    server.shutdown()
    server.server_close()
    deadline = monotonic() + seconds
    while server.crowd.size and monotonic() < deadline:
        sleep(0.05)
    for connection in list(server.connections):
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)  # close() alone would not wake the thread that reads
