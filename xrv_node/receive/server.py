"""The listening socket: a thread for each connection, and who may connect at all."""

from __future__ import annotations

import errno
import resource
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from time import monotonic, sleep
from typing import Any, TypeVar

import structlog

from xrv_node import tls
from xrv_node.db.store import Store
from xrv_node.errors import ConfigError
from xrv_node.network.wire import Wire
from xrv_node.reasons import Reason
from xrv_node.receive import dimse
from xrv_node.receive.peer_limits import Crowd, Pace, Waiting
from xrv_node.receive.receiver import Receiver, refused
from xrv_node.settings import Settings
from xrv_node.settings.receive import ReceiveSection
from xrv_node.settings.section import plain_address
from xrv_node.spool import Spool

log = structlog.get_logger("receive")

T = TypeVar("T")

ARTIM_SECONDS = 30.0
"""How long a connection may take to its association request (the ARTIM timer, PS3.8 9.1.4), and to the end
of its TLS handshake."""

PREDECESSOR_SECONDS = 5.0
"""How long the port may still be a predecessor's, whose supervisor was killed."""

IDLE_CONNECTIONS = 2
"""Connections for each association that one address may have: the others can be told that there are too many.
Beyond that they are closed without a word. Of all addresses together so many wait for an association at most
(:class:`~xrv_node.receive.peer_limits.Waiting`)."""

FULL_SECONDS = 0.5
"""How long no connection is accepted when the system has no file or memory for one: it would be tried
again at once, without end."""
_FULL = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

MOST_FILES = 65536
"""Open files that a receiver asks for: an association has a connection and a draft, and 1,000 are allowed."""


class Server(socketserver.ThreadingTCPServer):
    """Listens from its construction on; :func:`start` makes one."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, receiver: Receiver, context: ssl.SSLContext | None, *, shares_port: bool) -> None:
        receive = receiver.settings.receive
        self.receiver = receiver
        self.context = context
        self.connections: set[socket.socket] = set()
        self.crowd = Crowd()
        """The connections, of which most have an association."""
        self.waiting = Waiting(IDLE_CONNECTIONS * receive.max_associations)
        self.pace = Pace(receive.max_associations_per_minute)
        self.allow_reuse_port = shares_port or receive.processes > 1
        self.address_family = socket.getaddrinfo(receive.host, None, type=socket.SOCK_STREAM)[0][0]
        super().__init__((receive.host, receive.port), socketserver.BaseRequestHandler)

    def get_request(self) -> Any:
        """Accept a connection; rest a while where the system has no room for one."""
        try:
            return super().get_request()
        except OSError as error:
            if error.errno in _FULL:
                log.error("no connection can be accepted", why=error.strerror, seconds=FULL_SECONDS)
                sleep(FULL_SECONDS)
            raise

    def take_rest(self) -> None:
        """Serve those too that wait to be accepted: closing the socket would break them off."""
        self.socket.setblocking(False)
        with suppress(OSError):
            while True:
                self.process_request(*self.socket.accept())

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve one connection, in a thread of its own."""
        address = str(client_address[0])
        try:
            with self.crowd.visit(address, partial(self._refusal, address)) as refusal:
                if refusal is None:
                    self._talk(request, address)
                else:
                    refused(self.receiver, address, refusal)
        except ssl.SSLEOFError:  # as one that hangs up without TLS
            log.info("connection without an association", address=address)
        except (OSError, ValueError) as error:
            why = getattr(error, "reason", None) or error.__class__.__name__
            if why in tls.WITHOUT:
                why = "it calls without TLS: have it use TLS, or take [receive.tls] out"
            log.warning("connection failed", address=address, why=why)

    def _refusal(self, address: str, _everybody: int, its_own: int) -> Reason | None:
        """Why not to talk to this address at all."""
        receive = self.receiver.settings.receive
        if not receive.lets_in(found := plain_address(address)):
            return Reason("address-not-let-in", address=str(found))
        most = IDLE_CONNECTIONS * receive.max_associations_per_peer
        return Reason("too-many-connections", most=most) if its_own > most else None

    def _talk(self, connection: socket.socket, address: str) -> None:
        connection.settimeout(ARTIM_SECONDS)
        if self.context is not None:
            connection = self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        self.connections.add(connection)
        self.waiting.add(connection, address)
        seated = False

        def sit() -> bool:
            nonlocal seated
            seated = self.waiting.remove(connection)
            return seated

        try:
            sleep(self.pace.turn(address))
            if isinstance(connection, ssl.SSLSocket):
                # In this thread: a handshake that never ends must keep nobody else waiting.
                connection.do_handshake()
            dimse.serve(Wire(connection, ARTIM_SECONDS), address, self.receiver, sit)
        finally:
            if not seated and not self.waiting.remove(connection):
                why = Reason("connection-made-way", most=self.waiting.most)
                refused(self.receiver, address, why)
            self.connections.discard(connection)
            connection.close()


def start(
    settings: Settings,
    store: Store,
    spool: Spool,
    *,
    views_from_pixels: bool = False,
    shares_port: bool = False,
) -> Server:
    """Listen in threads of this process.

    Parameters
    ----------
    views_from_pixels
        As ``intake.accept`` takes it.
    shares_port
        Whether processes of this user may listen beside it: one that will take its place.

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
    _allow_files()
    context = tls.server_context(receive.tls) if receive.tls is not None else None
    try:
        server = _bound(Receiver(settings, store, spool, views_from_pixels), context, shares_port)
    except OSError as error:
        raise _taken(receive, error) from error
    threading.Thread(target=server.serve_forever, name="listener", daemon=True).start()
    return server


def _allow_files() -> None:
    """Raise the limit on open files as far as the system lets us: many give 1,024 unless asked."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(MOST_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _bound(receiver: Receiver, context: ssl.SSLContext | None, shares_port: bool) -> Server:
    return _patiently(lambda: Server(receiver, context, shares_port=shares_port))


def _patiently(bind: Callable[[], T]) -> T:
    patience = monotonic() + PREDECESSOR_SECONDS
    while True:
        try:
            return bind()
        except OSError as error:
            if error.errno != errno.EADDRINUSE or monotonic() > patience:
                raise
            sleep(0.2)


def require_free(receive: ReceiveSection) -> None:
    """See that nobody listens where receivers will, who share their port with others of this user.

    Raises
    ------
    ConfigError
        When somebody does, or the address is none of this machine.
    """
    try:
        family = socket.getaddrinfo(receive.host, None, type=socket.SOCK_STREAM)[0][0]
        _patiently(lambda: _probe(family, receive))
    except OSError as error:
        raise _taken(receive, error) from error


def _probe(family: int, receive: ReceiveSection) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((receive.host, receive.port))


def _taken(receive: ReceiveSection, error: OSError) -> ConfigError:
    return ConfigError(
        f"receive.host, receive.port: cannot listen on {receive.host}:{receive.port} ({error.strerror}); "
        "choose another or stop what listens there"
    )


def retire(server: Server, stop: threading.Event) -> None:
    """Leave new associations to a successor, who listens already, and serve the open ones to their end, or
    until told to stop."""
    server.shutdown()
    server.take_rest()
    server.server_close()
    log.info("a successor listens, and nothing more is taken", connections=server.crowd.size)
    while server.crowd.size and not stop.wait(0.2):
        pass


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
    with suppress(Exception):  # the database is locked, full or away: the rest of a minute's counts is lost
        server.receiver.repeats.flush()
