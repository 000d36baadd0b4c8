"""PDUs off a connection and onto it (PS3.8 9.3), within limits of size and time.

The loop is our own because pynetdicom's copies an object's bytes six times, believes any length that a peer
announces, and waits without end in the middle of a PDU.
"""

from __future__ import annotations

import socket
import ssl
import struct
from contextlib import suppress
from time import monotonic

from xrv_node.reasons import Reason

MAXIMUM_PDU = 131072
"""Bytes after a PDU's header, as this node announces it: dcmtk's largest. With pynetdicom's default of 16382
an object comes in eight times as many pieces."""

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)
"""PDU types (PS3.8 9.3.1)."""

NOT_SPECIFIED, UNRECOGNIZED_PDU, UNEXPECTED_PDU, INVALID_PARAMETER = 0, 1, 2, 6
"""Reasons of an A-ABORT by the service provider (PS3.8 table 9-26)."""

KEEP_ALIVE_SECONDS = 60
"""Of silence after which the kernel asks whether the peer is still there; left alone it waits two hours."""

SHOWN = 32
"""Bytes that are shown of what is no PDU."""

_HEADER = struct.Struct(">BxL")
_KEEP_IDLE: int | None = getattr(socket, "TCP_KEEPIDLE", None)  # not everywhere
_QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux only


class BrokenOffError(Exception):
    """An association ended otherwise than by its release.

    Parameters
    ----------
    why
        For the log, or a reason that a person reads; no patient data.
    reason
        What an A-ABORT to the peer says, or None when there is nobody to tell.
    """

    def __init__(self, why: Reason | str, reason: int | None = None) -> None:
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
        self._end: float | None = None
        self._ahead = b""
        self.was_shut = False
        """Whether :meth:`shutdown` ended it."""
        self._heard = False
        """Whether a whole PDU came: before that, what comes is no part of an object, and may be shown."""
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

    def until(self, end: float | None) -> None:
        """Let everything from here on have ended at this time of the monotonic clock, whatever comes.

        Parameters
        ----------
        end
            None: only `seconds` count.
        """
        self._end = end
        if end is None:
            self._connection.settimeout(self.seconds)

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
            raise BrokenOffError(self._not_dicom(kind), UNRECOGNIZED_PDU)
        if length > MAXIMUM_PDU:
            raise BrokenOffError(Reason("wire-too-long", length=length, most=MAXIMUM_PDU), INVALID_PARAMETER)
        body = self._body[:length]
        self._fill(body)
        self._heard = True
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
            self._wait_no_longer()
            self._connection.sendall(pdu)
            if _QUICK_ACK is not None:
                self._connection.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)
        except TimeoutError as error:
            raise BrokenOffError(Reason("wire-unread")) from error
        except OSError as error:
            raise BrokenOffError(Reason("wire-broke")) from error

    def waiting(self) -> bool:
        """Whether something has come, or the peer has closed; nothing is lost of it."""
        if not self._ahead:
            self._connection.settimeout(0)
            try:
                # One byte is read, for TLS has no peeking; where the peer has closed there is none.
                self._ahead = self._connection.recv(1) or b"\0"
            except (BlockingIOError, ssl.SSLWantReadError):
                return False
            except OSError:
                return True
            finally:
                self._connection.settimeout(self.seconds)
        return True

    def say(self, kind: int, last: tuple[int, int, int] = (0, 0, 0)) -> None:
        """Send a PDU of three bytes: A-ASSOCIATE-RJ, A-RELEASE or A-ABORT (PS3.8 9.3.4, 9.3.6 to 9.3.8).

        Raises
        ------
        BrokenOffError
            As :meth:`write`.
        """
        self.write(_HEADER.pack(kind, 4) + bytes((0, *last)))

    def abort(self, reason: int, source: int = 2) -> None:
        """Tell the peer that this is the end, if it listens (A-ABORT, PS3.8 9.3.8)."""
        with suppress(BrokenOffError):
            self.say(ABORT, (0, source, reason))

    def part(self, seconds: float = 1.0) -> None:
        """Let the peer close first: a connection that is closed on unread bytes may take the answer along."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)
            self._connection.settimeout(seconds)
            end = monotonic() + seconds
            while self._connection.recv_into(self._body) and monotonic() < end:
                pass

    def shutdown(self, how: int) -> None:
        """Wake up whoever reads from it or writes to it, from another thread."""
        self.was_shut = True
        self._connection.shutdown(how)

    def close(self) -> None:
        """Close the connection."""
        with suppress(OSError):
            self._connection.close()

    def _fill(self, view: memoryview) -> None:
        began = monotonic()
        view[: len(self._ahead)] = self._ahead
        view, self._ahead = view[len(self._ahead) :], b""
        while view:
            try:
                self._wait_no_longer()
                count = self._connection.recv_into(view)
            except TimeoutError as error:
                raise BrokenOffError(self._too_late("wire-silent", began), NOT_SPECIFIED) from error
            except OSError as error:
                raise BrokenOffError(Reason("wire-broke")) from error
            if not count:
                raise BrokenOffError(Reason("wire-closed" if self._heard else "wire-hung-up"))
            view = view[count:]
            if view and monotonic() > began + self.seconds:
                raise BrokenOffError(self._too_late("wire-slow", began), NOT_SPECIFIED)

    def _wait_no_longer(self) -> None:
        """Let the next step take no longer than what is left of everything."""
        if self._end is not None:
            left = self._end - monotonic()
            if left <= 0:
                raise TimeoutError
            self._connection.settimeout(min(left, self.seconds))

    def _too_late(self, key: str, began: float) -> Reason:
        seconds = self.seconds if self._end is None else max(1, round(monotonic() - began))
        return Reason(key, seconds=f"{seconds:g}")

    def _not_dicom(self, kind: int) -> Reason | str:
        """What to say of bytes that are no PDU; they are shown where they cannot be of an object."""
        if self._heard:
            return f"no PDU has type {kind}"
        seen = bytes(self._header)
        with suppress(OSError):
            self._connection.settimeout(0.1)  # what came with them is there already
            seen += self._connection.recv(SHOWN - len(seen))
        return Reason("wire-not-dicom", seen=repr(seen)[2:-1])
