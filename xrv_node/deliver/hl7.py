"""HL7 v2: the readable report as a message ORU^R01 over MLLP, until the receiver has acknowledged it."""

from __future__ import annotations

import socket
import ssl
import zlib
from collections.abc import Iterator, Sequence

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from xrv_node import reasons
from xrv_node.deliver.association import tls_context
from xrv_node.deliver.attempt import Attempt, Outcome
from xrv_node.errors import ConfigError, DestinationError
from xrv_node.hl7 import answer, mapping, mllp, oru
from xrv_node.network import outgoing
from xrv_node.network.terms import CONNECT_SECONDS
from xrv_node.reasons import Reason
from xrv_node.settings.destinations import Hl7Destination
from xrv_node.values import StoredResult

_SAYS: dict[str, tuple[Outcome, str | None]] = {
    "AA": (Outcome.DELIVERED, None),
    "CA": (Outcome.DELIVERED, None),
    "AE": (Outcome.REJECTED, "hl7-error"),
    "CE": (Outcome.REJECTED, "hl7-error"),
    "AR": (Outcome.TRANSIENT, "hl7-not-now"),
    "CR": (Outcome.TRANSIENT, "hl7-not-now"),
}
"""What an acknowledgement code means (HL7 v2.5.1 table 0008, chapter 2.9.2.2): an error is of the message; a
rejection without a code is of the receiver's state."""

_CODES: dict[str, tuple[Outcome, str]] = {
    **{code: (Outcome.REJECTED, "hl7-error") for code in ("100", "101", "102", "103")},
    **{code: (Outcome.REJECTED, "hl7-unsupported") for code in ("200", "201", "202", "203")},
    "204": (Outcome.REJECTED, "hl7-unknown-key"),
    "205": (Outcome.REJECTED, "hl7-error"),
    "206": (Outcome.TRANSIENT, "hl7-not-now"),
    "207": (Outcome.TRANSIENT, "hl7-not-now"),
}
"""What an error code means (HL7 table 0357), which tells more than the acknowledgement code."""


class Hl7Sender:
    """Sends readable reports to one receiver.

    Raises
    ------
    ConfigError
        When a file of its TLS, or its mapping, is missing or wrong.
    """

    def __init__(self, destination: Hl7Destination, calling_ae: str) -> None:
        tls_context(destination)  # a wrong file is told before anything is sent
        self._destination = destination
        self._mapping = mapping.load(
            destination.mapping_file, f"destinations.{destination.name}.mapping_file"
        )
        self._route = oru.Route(
            destination.sending_application or calling_ae,
            destination.sending_facility,
            destination.receiving_application,
            destination.receiving_facility,
            destination.processing_id,
        )
        self._connection = mllp.Connection(self._connect, destination.timeout_seconds)

    def send(self, results: Sequence[StoredResult]) -> Iterator[Attempt]:
        """Send each; what the receiver says of it is its outcome."""
        for result in results:
            try:
                message = oru.build(dcmread(result.path), self._mapping, self._route)
            except (OSError, InvalidDicomError, zlib.error, AttributeError) as error:
                yield Attempt(result, Outcome.TRANSIENT, Reason("own-file", error=type(error).__name__))
                continue
            yield Attempt(result, *self._ask(message))

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def answers(self) -> bool:
        """Whether the receiver takes a connection."""
        if self._connection.is_open:  # it answered on it; many take one at a time
            return True
        try:
            self._connect(CONNECT_SECONDS).close()
        except (OSError, ConfigError):
            return False
        return True

    def check(self) -> list[str]:
        """Connect, and send nothing: there is no message that a receiver would not file.

        Raises
        ------
        DestinationError
            When the receiver cannot be reached, or TLS fails.
        """
        try:
            self._connect(self._destination.timeout_seconds).close()
        except OSError as error:
            raise DestinationError(self._trouble(error)) from error
        lines = ["HL7 over MLLP: it takes a connection; no message was sent"]
        if self._destination.tls is None:
            lines.append("caution: reports go over the network in the clear; use [destinations.tls]")
        return lines

    def _connect(self, seconds: float) -> socket.socket:
        context = tls_context(self._destination)
        limit = min(seconds, CONNECT_SECONDS)
        return outgoing.connect(self._destination.host, self._destination.port, context, limit)

    def _ask(self, message: oru.Message) -> tuple[Outcome, Reason | None]:
        try:
            said = answer.read(self._connection.ask(message.data), message.control_id)
        except OSError as error:
            return Outcome.TRANSIENT, self._trouble(error)
        except (mllp.BrokenAnswerError, ValueError) as error:
            self.close()  # what follows may be the rest of it
            return Outcome.TRANSIENT, Reason("answer-not-understood", error=str(error))
        except ConfigError as error:  # a file that is missing can come back
            return Outcome.TRANSIENT, reasons.of(error)
        outcome, key = _SAYS[said.code]
        if outcome != Outcome.DELIVERED and said.error in _CODES:
            outcome, key = _CODES[said.error]
        return outcome, None if key is None else Reason(key, answer=said.words)

    def _trouble(self, error: OSError) -> Reason:
        host, port = self._destination.host, self._destination.port
        if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
            return Reason("web-no-tls")
        if isinstance(error, TimeoutError):
            return Reason("web-no-answer-in-time")
        if isinstance(error, mllp.NoAnswerError):
            return Reason("hl7-no-answer", host=host, port=port)
        return Reason("no-connection", host=host, port=port, why=reasons.of_system(error))
