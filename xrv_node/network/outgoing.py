"""An association that this node opens: requests out, responses in. Every wait has an end, and says what came.

pynetdicom's waits for ever on a peer that does not read, that begins a PDU and does not end it, or whose
answer it cannot decode; it takes any length that is announced, and does not tell what it has seen.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from time import monotonic, sleep

from pydicom import Dataset

from xrv_node.network import command, negotiation, values
from xrv_node.network import wire as pdus
from xrv_node.network.exchange import Exchange
from xrv_node.network.terms import SLOWEST, Accepted, Context, RejectedError, Terms, accepted, proposal
from xrv_node.network.wire import MAXIMUM_PDU, BrokenOffError

PENDING = (0xFF00, 0xFF01)
"""Statuses of an answer that more follow (PS3.4 table C.4-1)."""


def reach(host: str, port: int, seconds: float) -> socket.socket:
    """Connect without TLS.

    Raises
    ------
    OSError
        When that cannot be had within `seconds` an address; ``socket.gaierror`` where there is no such host,
        or none can be called so.
    """
    try:
        return socket.create_connection((host, port), seconds)
    except UnicodeError as error:  # IDNA: a part of the name that is empty or too long
        raise socket.gaierror(socket.EAI_NONAME, f"{host!r} is no name of a host") from error


def connect(host: str, port: int, tls: ssl.SSLContext | None, seconds: float) -> socket.socket:
    """Connect; with `tls` the handshake is done too.

    Raises
    ------
    OSError
        When that cannot be had within `seconds` an address; ``ssl.SSLError`` where it is the handshake.
    """
    plain = reach(host, port, seconds)
    if tls is None:
        return plain
    try:
        return tls.wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise


class Association:
    """An association with an archive, or another peer.

    Parameters
    ----------
    connection
        Nothing was sent over it yet. It is closed when the association ends.
    called, calling
        AE titles.
    contexts
        The presentation contexts to propose, one each, in order.
    terms
        What the peer may do, and for how long.

    Raises
    ------
    RejectedError
        When the peer refuses it.
    BrokenOffError
        When it answers something else, or nothing.
    """

    def __init__(
        self,
        connection: socket.socket,
        called: str,
        calling: str,
        contexts: Sequence[Context],
        terms: Terms,
    ) -> None:
        self._exchange, self._terms = Exchange(connection, terms), terms
        self._message_id = 0
        proposed = proposal(contexts)
        roles = {uid: (False, True) for uid in terms.scp_of}
        with self._exchange.within(terms.seconds):
            self._exchange.write(negotiation.request(called, calling, proposed, MAXIMUM_PDU, roles))
            answer = self._acceptance()
        self.accepted = tuple(accepted(proposed, answer.contexts))
        """In the order of the proposal."""

    def contexts(self, abstract_syntax: str) -> list[Accepted]:
        """The accepted contexts of an abstract syntax, in the order of the proposal."""
        return [one for one in self.accepted if one.abstract_syntax == abstract_syntax]

    def is_open(self) -> bool:
        """Whether it stands: what the peer has said or done meanwhile is looked at."""
        with suppress(BrokenOffError):
            while self._exchange.open and self._exchange.wire.waiting():
                with self._exchange.within(self._terms.seconds):
                    if (request := self._exchange.what_waits()) is not None:
                        self._serve(*request)
        return self._exchange.open

    def ask(
        self,
        context: Accepted,
        field: int,
        elements: Mapping[int, str | int],
        pieces: Iterable[bytes] | None = None,
        *,
        size: int = 0,
    ) -> Dataset:
        """Send a request and wait for its response.

        Parameters
        ----------
        field
            Its Command Field.
        elements
            What its command set has beside this, by element of group 0000.
        pieces
            Its data set, of any lengths; None: it has none.
        size
            Bytes of the data set: the more, the longer it may take.

        Returns
        -------
        Dataset
            The response's command set.

        Raises
        ------
        BrokenOffError
            When none comes. What reading the pieces raises ends the association too.
        """
        with self._exchange.within(self._terms.seconds + size / SLOWEST):
            self._request(context, field, elements, pieces)
            return self._response()[1]

    def ask_many(
        self, context: Accepted, field: int, elements: Mapping[int, str | int], pieces: Iterable[bytes]
    ) -> Iterator[tuple[int | None, bytes | None]]:
        """Send a request that has several responses; yield the status and the data set of each.

        Raises
        ------
        BrokenOffError
            When the last of them does not come.
        """
        with self._exchange.within(self._terms.seconds):
            self._request(context, field, elements, pieces)
        more = True
        while more:
            with self._exchange.within(self._terms.seconds):
                context_id, fields = self._response()
                status = command.number(fields, "Status")
                more = status in PENDING
                has_data = command.number(fields, "CommandDataSetType") not in (command.NO_DATASET, None)
                # Only a pending answer is sure to be followed by what it announces.
                data = _whole(self._exchange.dataset(context_id)) if more and has_data else None
            yield status, data

    def listen(self, seconds: float, heard: Callable[[], bool]) -> None:
        """Answer what the peer asks, until `heard` or for so long."""
        end = monotonic() + seconds
        while not heard() and monotonic() < end and self.is_open():
            sleep(0.02)

    def release(self) -> None:
        """End it in good order, if it stands; a peer that does not answer is not waited for long."""
        self._exchange.release()

    def abort(self) -> None:
        """End it at once."""
        self._exchange.abort()

    def _acceptance(self) -> negotiation.Acceptance:
        kind, body = self._exchange.wire.read()
        if kind == pdus.ASSOCIATE_RJ and len(body) >= 4:
            self._exchange.close()
            raise RejectedError(body[1], body[2], body[3])
        if kind == pdus.ABORT:
            raise values.aborted(body)
        if kind != pdus.ASSOCIATE_AC:
            raise BrokenOffError(f"a PDU of type {kind} in answer to the request", pdus.UNEXPECTED_PDU)
        try:
            answer = negotiation.read_acceptance(body)
            self._exchange.room = values.room(answer.longest)
        except ValueError as error:
            raise BrokenOffError(str(error), pdus.INVALID_PARAMETER) from error
        return answer

    def _request(
        self,
        context: Accepted,
        field: int,
        elements: Mapping[int, str | int],
        pieces: Iterable[bytes] | None,
    ) -> None:
        self._message_id = self._message_id % 65535 + 1
        encoded = command.request(field, self._message_id, elements, data=pieces is not None)
        self._exchange.send(context.context_id, encoded, pieces)

    def _response(self) -> tuple[int, Dataset]:
        """The next response; requests that come before it are answered.

        There is one request at a time, so that a response whose Message ID is missing or another's is on it.
        """
        while True:
            context_id, fields = self._exchange.command()
            field = command.number(fields, "CommandField")
            if field is None or field & 0x8000:
                return context_id, fields
            self._serve(context_id, fields)

    def _serve(self, context_id: int, fields: Dataset) -> None:
        """Answer a request of the peer's."""
        try:
            request = command.checked(fields)
        except ValueError as error:
            raise BrokenOffError(str(error), pdus.INVALID_PARAMETER) from error
        context = next((one for one in self.accepted if one.context_id == context_id), None)
        if context is None or request.CommandField & 0x8000:
            raise BrokenOffError("a message that nobody asked for", pdus.UNEXPECTED_PDU)
        has_data = request.CommandDataSetType != command.NO_DATASET
        fragments = self._exchange.dataset(context_id) if has_data else iter(())
        handler = self._terms.handlers.get(request.CommandField)
        status = command.UNRECOGNIZED_OPERATION if handler is None else handler(context, request, fragments)
        for _ in fragments:
            pass
        self._exchange.send(context_id, command.response(request, status))


def _whole(fragments: Iterable[memoryview]) -> bytes:
    return b"".join(map(bytes, fragments))
