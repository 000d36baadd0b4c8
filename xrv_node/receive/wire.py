"""PDUs off a connection and onto it (PS3.8 9.3), within limits of size and time.

The loop is our own because pynetdicom's copies an object's bytes six times, believes any length that a peer
announces, and waits without end in the middle of a PDU.
"""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from time import monotonic

MAXIMUM_PDU = 131072
"""Bytes after a PDU's header, as this node announces it: dcmtk's largest. With pynetdicom's default of 16382
an object comes in eight times as many pieces."""

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)
"""PDU types (PS3.8 9.3.1)."""

NOT_SPECIFIED, UNRECOGNIZED_PDU, UNEXPECTED_PDU, INVALID_PARAMETER = 0, 1, 2, 6
"""Reasons of an A-ABORT by the service provider (PS3.8 table 9-26)."""

KEEP_ALIVE_SECONDS = 60
"""Of silence after which the kernel asks whether the peer is still there; left alone it waits two hours."""

_HEADER = struct.Struct(">BxL")
_KEEP_IDLE: int | None = getattr(socket, "TCP_KEEPIDLE", None)  # not everywhere
_QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux only


class BrokenOffError(Exception):
    """An association ended otherwise than by its release.

    Parameters
    ----------
    why
        For the log; no patient data.
    reason
        What an A-ABORT to the peer says, or None when there is nobody to tell.
    """

    def __init__(self, why: str, reason: int | None = None) -> None:
        super().__init__(why)
        self.reason = reason


class Wire:
    """One connection.

    Parameters
    ----------
    connection
        Connected; TLS or plain.
    seconds
        How long a peer may be silent, and how long it may take over one PDU.
    """

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self._connection = connection
        self._header = memoryview(bytearray(_HEADER.size))
        self._body = memoryview(bytearray(MAXIMUM_PDU))
        # An answer is one small segment: nothing is to be collected behind it.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A peer whose power failed says nothing more: the kernel asks after it.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if _KEEP_IDLE is not None:
            connection.setsockopt(socket.IPPROTO_TCP, _KEEP_IDLE, KEEP_ALIVE_SECONDS)
        self.patience(seconds)

    def patience(self, seconds: float) -> None:
        """Change how long the peer may take."""
        self.seconds = seconds
        self._connection.settimeout(seconds)

    def read(self) -> tuple[int, memoryview]:
        """Read one PDU.

        Returns
        -------
        type : int
            1 to 7.
        body : memoryview
            Up to ``MAXIMUM_PDU`` bytes after the header, valid until the next call.

        Raises
        ------
        BrokenOffError
            The peer is gone, too slow, or does not speak the protocol.
        """
        self._fill(self._header)
        kind, length = _HEADER.unpack(self._header)
        if not ASSOCIATE_RQ <= kind <= ABORT:
            raise BrokenOffError(f"no PDU has type {kind}", UNRECOGNIZED_PDU)
        if length > MAXIMUM_PDU:
            raise BrokenOffError(f"a PDU of {length} bytes, not {MAXIMUM_PDU} at most", INVALID_PARAMETER)
        body = self._body[:length]
        self._fill(body)
        return kind, body

    def write(self, pdu: bytes) -> None:
        """Send one PDU in one piece.

        dcmtk and pynetdicom send a PDU's header and body apart, and hold the body until the header is
        acknowledged: unless told otherwise the kernel takes 40 ms for that, once an object. The option does
        not last, so it is set again after each answer.

        Raises
        ------
        BrokenOffError
            When the peer is gone or does not read.
        """
        try:
            self._connection.sendall(pdu)
            if _QUICK_ACK is not None:
                self._connection.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)
        except OSError as error:
            raise BrokenOffError("the connection broke") from error

    def abort(self, reason: int) -> None:
        """Tell the peer that this is the end, if it listens (A-ABORT, PS3.8 9.3.8)."""
        with suppress(BrokenOffError):
            self.write(_HEADER.pack(ABORT, 4) + bytes((0, 0, 2, reason)))

    def part(self, seconds: float = 1.0) -> None:
        """Let the peer close first: a connection that is closed on unread bytes may take the answer along."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)
            self._connection.settimeout(seconds)
            end = monotonic() + seconds
            while self._connection.recv_into(self._body) and monotonic() < end:
                pass

    def _fill(self, view: memoryview) -> None:
        end = monotonic() + self.seconds
        while view:
            try:
                count = self._connection.recv_into(view)
            except TimeoutError as error:
                raise BrokenOffError(f"nothing came for {self.seconds:g} s", NOT_SPECIFIED) from error
            except OSError as error:
                raise BrokenOffError("the connection broke") from error
            if not count:
                raise BrokenOffError("the connection was closed without a release")
            view = view[count:]
            if view and monotonic() > end:
                raise BrokenOffError(f"a PDU took more than {self.seconds:g} s", NOT_SPECIFIED)
