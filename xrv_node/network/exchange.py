"""Messages over a connection that this node opened, each within its time; what breaks one ends them all."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic

from pydicom import Dataset

from xrv_node.network import command, values
from xrv_node.network import wire as pdus
from xrv_node.network.terms import RELEASE_SECONDS, Terms
from xrv_node.network.wire import BrokenOffError, Wire
from xrv_node.reasons import Reason, as_is

LAST_WORD_SECONDS = 1.0
"""How long a peer is listened to, or told why, when it is over."""


class Exchange:
    """What is said over one connection.

    Parameters
    ----------
    connection
        Nothing was sent over it yet. It is closed at the end.
    terms
        For how long, and how much.
    """

    def __init__(self, connection: socket.socket, terms: Terms) -> None:
        self.wire = Wire(connection, terms.seconds)
        self.open = True
        """Whether it goes on, as far as is known."""
        self.room = values.room(0)
        """Bytes of a data value that the peer takes."""
        self._most = terms.most
        self._end = None if terms.total is None else monotonic() + terms.total
        self._came = values.values(self.wire)

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Within this everything takes `seconds` at most.

        Raises
        ------
        BrokenOffError
            When it does not, or when it was over before; with a reason that a person reads.
        """
        if not self.open:
            raise BrokenOffError(Reason("wire-closed"))
        end = monotonic() + seconds
        self.wire.patience(seconds)
        self.wire.until(end if self._end is None else min(end, self._end))
        try:
            yield
        except BrokenOffError as error:
            if error.reason is not None and self.open:
                self.wire.until(monotonic() + LAST_WORD_SECONDS)
                self.wire.abort(error.reason)
            self.close()
            raise _as_seen(error, seconds) from error
        except BaseException:
            self.abort()  # in the middle of a message
            raise
        self.wire.until(None)

    def write(self, pdu: bytes) -> None:
        """Send; where the connection breaks, the peer's last word may say why."""
        try:
            self.wire.write(pdu)
        except BrokenOffError as broken:
            if (word := self._last_word()) is None:
                raise
            raise word from broken

    def send(self, context_id: int, encoded: bytes, pieces: Iterable[bytes] | None = None) -> None:
        """Send a command set, and the data set behind it, if it has one."""
        self.write(values.command(context_id, encoded, self.room))
        if pieces is not None:
            for pdu in values.dataset(context_id, self._cut(pieces)):
                self.write(pdu)

    def command(self) -> tuple[int, Dataset]:
        """The next command set that comes, and its context."""
        while True:
            if (found := self.what_waits()) is not None:
                return found

    def what_waits(self) -> tuple[int, Dataset] | None:
        """The same, when something waits; None where that was nothing."""
        encoded = bytearray()
        for context_id, control, data in self._values():
            if not control & values.COMMAND:
                return None  # of a response that was said to have no data set
            encoded += data
            if len(encoded) > command.MAXIMUM:
                raise BrokenOffError("a command without end", pdus.INVALID_PARAMETER)
            if control & values.LAST:
                return context_id, _read(bytes(encoded))
        self._confirm_release()
        raise BrokenOffError(Reason("wire-released"))

    def dataset(self, context_id: int) -> Iterator[memoryview]:
        """The data set behind a command set, in pieces."""
        for got, control, data in self._values():
            if got != context_id or control & values.COMMAND:
                raise BrokenOffError("a data set in another context", pdus.UNEXPECTED_PDU)
            yield data
            if control & values.LAST:
                return
        self._confirm_release()
        raise BrokenOffError(Reason("wire-released"))

    def release(self) -> None:
        """End it in good order; a peer that does not answer is not waited for long."""
        if not self.open:
            return
        with suppress(BrokenOffError), self.within(RELEASE_SECONDS):
            self.wire.say(pdus.RELEASE_RQ)
            while (kind := self.wire.read()[0]) not in (pdus.RELEASE_RP, pdus.ABORT):
                if kind == pdus.RELEASE_RQ:  # both at once (PS3.8 7.2.2.7)
                    self._confirm_release()
        self.close()

    def abort(self) -> None:
        """End it at once."""
        if self.open:
            self.wire.until(monotonic() + LAST_WORD_SECONDS)
            self.wire.abort(pdus.NOT_SPECIFIED, source=0)
            self.close()

    def close(self) -> None:
        """Close the connection."""
        self.open = False
        self.wire.close()

    def _values(self) -> Iterator[values.Value]:
        for value in self._came:
            if self._most is not None:
                self._most -= len(value[2])
                if self._most < 0:
                    raise BrokenOffError("more than was asked for", pdus.NOT_SPECIFIED)
            yield value

    def _cut(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            for at in range(0, len(piece), self.room):
                yield piece[at : at + self.room]

    def _confirm_release(self) -> None:
        self.wire.say(pdus.RELEASE_RP)

    def _last_word(self) -> BrokenOffError | None:
        """An A-ABORT, or an alert of TLS, that lies there."""
        self.wire.until(monotonic() + LAST_WORD_SECONDS)
        try:
            kind, body = self.wire.read()
        except BrokenOffError as error:
            return error if isinstance(error.__cause__, ssl.SSLError) else None
        return values.aborted(body) if kind == pdus.ABORT else None


def _as_seen(error: BrokenOffError, seconds: float) -> BrokenOffError:
    """The same in words for a person."""
    why = error.args[0]
    if isinstance(why, str):
        why = Reason("wire-not-understood", why=as_is(why))
    elif why.key in ("wire-silent", "wire-slow"):
        why = Reason("wire-no-answer", seconds=f"{seconds:.0f}")
    return BrokenOffError(why, error.reason)


def _read(encoded: bytes) -> Dataset:
    try:
        return command.read(encoded)
    except ValueError as error:
        raise BrokenOffError(str(error), pdus.INVALID_PARAMETER) from error
