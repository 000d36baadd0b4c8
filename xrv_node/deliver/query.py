"""An archive that is asked with C-FIND, and sends by C-GET on the same association, or by C-MOVE (PS3.4 annex
C)."""

from __future__ import annotations

import ssl
from collections.abc import Collection, Iterator, Mapping, Sequence

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from xrv_node import reasons
from xrv_node.deliver.association import NotNowError, open_peer
from xrv_node.errors import DestinationError
from xrv_node.network import command, datasets
from xrv_node.network.outgoing import PENDING
from xrv_node.network.terms import Accepted, Context, Handler, Peer, Terms
from xrv_node.network.wire import BrokenOffError
from xrv_node.reasons import Reason

FIND, MOVE, GET = (f"1.2.840.10008.5.1.4.1.2.2.{number}" for number in (1, 2, 3))
"""Study Root Query/Retrieve Information Model, FIND, MOVE and GET (PS3.4 C.6.2.3)."""
_SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
SUCCESS = 0x0000
WARNING = 0xB000
"""Some of the objects could not be sent (PS3.4 table C.4-3); those that came are there."""
CANNOT_UNDERSTAND = 0xC000


class QueryRetrieve:
    """One association, for all that is asked of the archive.

    Parameters
    ----------
    classes
        SOP classes of what is fetched.
    offered
        The presentation contexts in which they are; without them one each.
    models
        What is asked: of FIND, GET and MOVE.
    taken
        Takes what comes by C-GET, and answers a status; without it that is decoded and kept for :meth:`get`.
    seconds, most_seconds
        How long each answer may take, and all of it; None: any time.
    most_answers
        Of one query.
    most_bytes, most_of_one
        That it may send altogether, and of one object, before anything is made of it.
    context
        For TLS; None: without.

    Raises
    ------
    DestinationError
        No association can be had; of the methods: it does not answer, or breaks off.
    """

    def __init__(
        self,
        peer: Peer,
        calling_ae: str,
        classes: Collection[str],
        *,
        seconds: float,
        most_seconds: float | None,
        most_answers: int,
        most_bytes: int | None,
        most_of_one: int = 0,
        context: ssl.SSLContext | None = None,
        offered: Sequence[Context] = (),
        models: Sequence[str] = (FIND, GET),
        taken: Handler | None = None,
    ) -> None:
        self._who = Reason("peer-at", peer=peer.ae_title, host=peer.host, port=peer.port)
        self._most_answers, self._most_of_one = most_answers, most_of_one
        self._classes, self._models = tuple(classes), tuple(models)
        self._came: list[Dataset] = []
        handlers = {command.C_STORE: taken or self._stored}
        terms = Terms(seconds, most_seconds, most_bytes, handlers, self._classes)
        try:
            # C-GET brings the objects on this association, so we are the SCP of their class (PS3.4 C.5.3).
            contexts: list[Context] = [(uid, _SYNTAXES) for uid in models]
            contexts += offered or [(uid, _SYNTAXES) for uid in classes]
            self._association = open_peer(peer, calling_ae, contexts, terms, context=context)
        except NotNowError as error:
            why = reasons.of(error).values.get("why", reasons.of(error))
            raise DestinationError(Reason("archive-no-association", archive=self._who, why=why)) from error
        except DestinationError as error:
            raise DestinationError(
                Reason("archive-no-association", archive=self._who, why=reasons.of(error))
            ) from error

    def require(self) -> None:
        """See that the archive would answer queries, and send what is fetched.

        Raises
        ------
        DestinationError
            It does not.
        """
        if not all(map(self._association.contexts, self._models)):
            raise self._offers_none()
        if refused := [UID(one).name for one in self._classes if not self._association.contexts(one)]:
            raise DestinationError(
                Reason("archive-without-class", archive=self._who, classes=", ".join(refused))
            )

    def find(self, level: str, **keys: str) -> list[Dataset]:
        """C-FIND at a level; what matches."""
        answers = []
        for status, identifier in self._send(command.C_FIND, FIND, level, keys):
            if status in PENDING and identifier is not None:
                answers.append(identifier)
            elif status not in (SUCCESS, *PENDING):
                raise self._answered("C-FIND", status)
            if len(answers) > self._most_answers:
                self._association.abort()
                raise DestinationError(Reason("archive-without-end", archive=self._who))
        return answers

    def get(self, level: str, **keys: str) -> list[Dataset]:
        """C-GET; the objects, with file meta information that names their transfer syntax."""
        self._came = []
        if (status := self.have_sent(level, **keys)) not in (SUCCESS, WARNING):
            raise self._answered("C-GET", status)
        return self._came

    def have_sent(self, level: str, destination: str = "", **keys: str) -> int:
        """C-GET, or with a destination C-MOVE to that AE title; the last status."""
        field, model, elements = command.C_GET, GET, {}
        if destination:
            field, model = command.C_MOVE, MOVE
            elements = {0x0600: destination + " " * (len(destination) % 2)}  # PS3.5 6.2: with spaces
        status = SUCCESS
        for status, _ in self._send(field, model, level, keys, elements):  # noqa: B007
            pass
        return status

    def close(self) -> None:
        """Release the association."""
        self._association.release()

    def _send(
        self, field: int, model: str, level: str, keys: Mapping[str, str], more: Mapping[int, str] = {}
    ) -> Iterator[tuple[int, Dataset | None]]:
        """Send a C-FIND, C-GET or C-MOVE; yields status and identifier of each answer."""
        query = Dataset()
        query.SpecificCharacterSet = "ISO_IR 192"
        query.QueryRetrieveLevel = level
        for keyword, value in keys.items():
            setattr(query, keyword, value)
        if not (contexts := self._association.contexts(model)):
            raise self._offers_none()
        context = contexts[0]
        elements: dict[int, str | int] = {0x0002: model, 0x0700: command.MEDIUM, **more}
        try:
            encoded = datasets.encode(query, context.transfer_syntax)
            for status, data in self._association.ask_many(context, field, elements, (encoded,)):
                if status is None:
                    raise DestinationError(Reason("archive-ended-association", archive=self._who))
                yield status, None if data is None else datasets.decode(data, context.transfer_syntax)
        except (BrokenOffError, ValueError) as error:
            why = reasons.of(error)
            raise DestinationError(Reason("archive-broke-off", archive=self._who, why=why)) from error

    def _offers_none(self) -> DestinationError:
        key = "archive-cannot-move" if MOVE in self._models else "archive-without-query"
        return DestinationError(Reason(key, archive=self._who))

    def _answered(self, service: str, status: int) -> DestinationError:
        shown = f"0x{status:04X}"
        return DestinationError(Reason("archive-status", archive=self._who, service=service, status=shown))

    def _stored(self, context: Accepted, _command: Dataset, fragments: Iterator[memoryview]) -> int:
        encoded = b"".join(map(bytes, fragments))
        if len(encoded) > self._most_of_one:
            return CANNOT_UNDERSTAND  # before anything is made of it
        try:
            dataset = datasets.decode(encoded, context.transfer_syntax)
        except ValueError:
            return CANNOT_UNDERSTAND
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = UID(context.transfer_syntax)
        self._came.append(dataset)
        return SUCCESS
