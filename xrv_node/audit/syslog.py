"""Audit messages on their way to an audit repository: syslog over TLS, as IHE ITI-20 and PS3.15 A.6 have it.

RFC 5424 gives the envelope, RFC 5425 the framing over TLS; UDP (RFC 5426, PS3.15 A.7) is there for
repositories that have nothing else. Syslog has no answers: what tells that messages arrived is the end of the
connection, see :func:`send`.
"""

from __future__ import annotations

import fcntl
import os
import socket
import ssl
import struct
import sys
import termios
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic, sleep

from xrv_node import tls
from xrv_node.audit.atna import Written
from xrv_node.errors import DestinationError
from xrv_node.network import outgoing
from xrv_node.settings.audit import AuditSection
from xrv_node.settings.tls import TlsClientSection

PRIORITY = 10 * 8
"""Facility 10, security and authorization messages (PS3.15 A.6)."""
NOTICE, WARNING = 5, 4
"""The severities that PS3.15 A.6 names: of most messages, and of what is amiss."""
APP_NAME = "xrv-node"
MESSAGE_ID = "DICOM+RFC3881"
"""MSGID of messages of PS3.15 A.5 (its A.6); IHE's own, of its transactions, have another."""
NO_STRUCTURED_DATA = "-"
HOST_LENGTH = 255
"""Characters of HOSTNAME (RFC 5424 section 6)."""

CONNECT_SECONDS = ANSWER_SECONDS = 10.0
WHOLE_SECONDS = 60.0
"""For a connection from its handshake to its end: a peer that says something now and then ends no timeout."""

_CLOSE_WAIT = 8
"""The peer has closed, in order (TCP_CLOSE_WAIT of Linux' netinet/tcp.h, the first byte of its tcp_info)."""
_LOOKS = 100


def line(written: Written) -> bytes:
    """Put a message into the envelope of RFC 5424.

    The message is ASCII, so that it needs no byte order mark, which repositories of IHE do not expect.
    """
    priority = PRIORITY + (WARNING if written.alert else NOTICE)
    header = (written.at, host(), APP_NAME, str(os.getpid()), MESSAGE_ID, NO_STRUCTURED_DATA)
    return f"<{priority}>1 {' '.join(header)} {written.xml}".encode("ascii")


def host() -> str:
    """This machine's name as RFC 5424 takes it: printable ASCII without spaces."""
    name = "".join(c for c in socket.gethostname() if "!" <= c <= "~")[:HOST_LENGTH]
    return name or "-"


def framed(message: bytes) -> bytes:
    """Put its length in octets before a message (RFC 5425 section 4.3)."""
    return str(len(message)).encode("ascii") + b" " + message


def send(to: AuditSection, messages: Sequence[bytes]) -> None:
    """Send messages over a connection of their own, and wait until the peer has read them.

    A sender of RFC 5425 ends a connection with close_notify, and the receiver answers with its own (section
    4.4), which follows all that came before. Many only close: then TCP tells whether they had read to the
    end. Without either, messages may be lost in a buffer, and are to be sent again. Over UDP nothing tells.

    Raises
    ------
    ConfigError
        When a file of ``[audit.tls]`` is missing or wrong.
    DestinationError
        When the peer cannot be reached, trusted or may not have read everything; some may have arrived.
    """
    try:
        if to.protocol == "udp":
            _datagrams(to, messages)
            return
        with outgoing.reach(to.host, to.port, CONNECT_SECONDS) as plain:
            plain.settimeout(ANSWER_SECONDS)
            _secured(plain, to, b"".join(map(framed, messages)))
    except ssl.SSLCertVerificationError as error:
        raise DestinationError(
            f"audit.host: the certificate of {to.repository} does not hold ({error.verify_message}); "
            "see [audit.tls] ca and verify_host"
        ) from error
    except (OSError, UnicodeError) as error:
        why = getattr(error, "reason", None) or getattr(error, "strerror", None) or "no answer in time"
        raise DestinationError(
            f"audit.host: {to.repository} does not take audit messages ({why}); is it there, does it speak "
            f"{to.protocol.upper()} on audit.port, and does it trust [audit.tls] certificate?"
        ) from error


def _secured(plain: socket.socket, to: AuditSection, data: bytes) -> None:
    """Handshake, data, close_notify, and the peer's end; each in its turn.

    Not an `ssl.SSLSocket`: its ``unwrap`` takes a fatal alert for a close_notify, and in TLS 1.3 a server
    refuses our certificate by an alert after the handshake.
    """
    files = to.tls or TlsClientSection()
    context = tls.client_context(files.ca, files.certificate, files.key, "audit.tls")
    context.check_hostname = files.verify_host
    came, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    secured = context.wrap_bio(came, going, server_hostname=to.host)
    end = monotonic() + WHOLE_SECONDS

    def until_done(step: Callable[[], bytes | None]) -> bytes | None:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                if (left := end - monotonic()) <= 0:
                    raise TimeoutError from None
                plain.settimeout(min(left, ANSWER_SECONDS))
                plain.sendall(going.read())
                if got := plain.recv(65536):
                    came.write(got)
                else:
                    came.write_eof()

    until_done(secured.do_handshake)
    if data:
        secured.write(data)
    with suppress(ssl.SSLWantReadError):
        secured.unwrap()  # writes close_notify; nothing of the peer's is there yet to be taken for an answer
    try:
        # The protocol has no answers: what a peer says all the same is not heard.
        while until_done(secured.read):
            if monotonic() > end:
                raise TimeoutError
    except ssl.SSLZeroReturnError:
        return  # close_notify
    except ssl.SSLEOFError:
        pass
    # Closed without it; some versions of Python (3.11.2) tell this by an empty read.
    if not _read_to_the_end(plain):
        raise ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "closed before all was read")


def _read_to_the_end(connection: socket.socket) -> bool:
    """Whether a peer that closed without close_notify had read everything: its system acknowledged every byte
    and closed in order. One that leaves bytes unread resets the connection (RFC 1122 section 4.2.2.13).

    Only Linux tells; elsewhere the close is taken for it.
    """
    if sys.platform != "linux":
        return True
    for _ in range(_LOOKS):
        if connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != _CLOSE_WAIT:
            return False
        (unacknowledged,) = struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, b"\0" * 4))
        if unacknowledged == 0:
            return True
        sleep(ANSWER_SECONDS / _LOOKS)
    return False


def _datagrams(to: AuditSection, messages: Sequence[bytes]) -> None:
    family, kind, protocol, _, address = socket.getaddrinfo(to.host, to.port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, protocol) as plain:
        for message in messages:
            plain.sendto(message, address)
