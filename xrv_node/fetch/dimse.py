"""An archive that is asked with C-FIND, and gives by C-GET, or sends to our receiver by C-MOVE (PS3.4 C)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from itertools import product

from pydicom import Dataset

from xrv_node.deliver.association import tls_context
from xrv_node.deliver.query import FIND, GET, MOVE, QueryRetrieve
from xrv_node.errors import DestinationError
from xrv_node.fetch.archive import MAX_ANSWERS, NOBODY, Give
from xrv_node.fetch.desk import Desk, Image, outcome
from xrv_node.frontal.rules import load_rules
from xrv_node.network import terms
from xrv_node.network.terms import Accepted, Context, Handler
from xrv_node.radiograph.syntaxes import NATIVE, PROCESSES, decodes
from xrv_node.reasons import Reason
from xrv_node.receive.instance_rows import Incoming
from xrv_node.receive.taking import Taken
from xrv_node.settings.archives import DimseArchive

MOST_CONTEXTS = 127
"""Beside the one of C-GET: their numbers are odd and fit a byte (PS3.8 9.3.2.2)."""
_OUT_OF_RESOURCES = range(0xA700, 0xA800)
_DESTINATION_UNKNOWN = 0xA801
"""Statuses of C-GET and C-MOVE that hold for whatever is asked for next (PS3.4 C.4.2.1.5, C.4.3.1.4)."""


class Peer:
    """One association for questions, and one for what is given by C-GET."""

    def __init__(self, section: DimseArchive, ae_title: str) -> None:
        self._section, self._ae_title = section, ae_title
        self._who = Reason("peer-at", peer=section.ae_title, host=section.host, port=section.port)
        self._moves = section.move == "move"
        self._asked = self._associate((FIND, MOVE) if self._moves else (FIND,))

    def studies(self, **matches: str) -> list[Dataset]:
        """C-FIND for studies."""
        wanted = {"StudyInstanceUID": "", "PatientID": "", "AccessionNumber": "", "StudyDate": ""}
        return self._asked.find("STUDY", **wanted | matches)

    def series(self, study: str) -> list[Dataset]:
        """C-FIND for series."""
        return self._asked.find("SERIES", StudyInstanceUID=study, SeriesInstanceUID="", Modality="")

    def images(self, study: str, series: str) -> list[Dataset]:
        """C-FIND for objects."""
        uids = {"StudyInstanceUID": study, "SeriesInstanceUID": series}
        return self._asked.find("IMAGE", **uids, SOPInstanceUID="", SOPClassUID="")

    @contextmanager
    def giving(self, classes: Collection[str], desk: Desk) -> Iterator[Give]:
        """Within this it gives: by C-MOVE on the association that stands, by C-GET on one of its own."""
        if self._moves:
            yield lambda image: self._move(image, desk)
            return
        in_hand = _InHand(desk, self._section.ae_title)
        with closing(self._associate((GET,), _told(classes), in_hand.take)) as way:
            yield lambda image: self._get(way, image, in_hand)

    def check(self) -> None:
        """C-FIND for a patient that nobody is; and whether it would give radiographs."""
        self._asked.require()
        self._asked.find("STUDY", PatientID=NOBODY, StudyInstanceUID="")
        if not self._moves:
            with closing(self._associate((GET,), load_rules().sop_classes)) as way:
                way.require()

    def close(self) -> None:
        """Release the association."""
        self._asked.close()

    def _associate(
        self, models: tuple[str, ...], classes: Collection[str] = (), taken: Handler | None = None
    ) -> QueryRetrieve:
        section = self._section
        return QueryRetrieve(
            terms.Peer(section.ae_title, section.host, section.port),
            self._ae_title,
            classes,
            seconds=section.timeout_seconds,
            most_seconds=None,
            most_answers=MAX_ANSWERS,
            most_bytes=None,
            context=tls_context(section),
            offered=_offered(classes),
            models=models,
            taken=taken,
        )

    def _get(self, way: QueryRetrieve, image: Image, in_hand: _InHand) -> Reason | None:
        in_hand.image, in_hand.taken = image, None
        status = way.have_sent("IMAGE", **_uids(image))
        if in_hand.taken is not None:
            return outcome(in_hand.taken)
        return self._not_given("C-GET", status)

    def _move(self, image: Image, desk: Desk) -> Reason | None:
        status = self._asked.have_sent("IMAGE", self._ae_title, **_uids(image))
        return self._not_given("C-MOVE", status) if status else desk.amiss(image, self._who)

    def _not_given(self, service: str, status: int) -> Reason:
        """Why an object did not come.

        Raises
        ------
        DestinationError
            None would.
        """
        shown = f"0x{status:04X}"
        if status == _DESTINATION_UNKNOWN:
            raise DestinationError(Reason("archive-knows-us-not", archive=self._who, ae_title=self._ae_title))
        if status in _OUT_OF_RESOURCES:
            raise DestinationError(Reason("archive-status", archive=self._who, service=service, status=shown))
        return Reason("archive-gives-not", archive=self._who, status=f"{service}: {shown}")


class _InHand:
    """The object that is asked for by C-GET, and what became of what comes."""

    image: Image
    taken: Taken | None

    def __init__(self, desk: Desk, calling_ae: str) -> None:
        self._desk, self._calling_ae = desk, calling_ae

    def take(self, context: Accepted, request: Dataset, fragments: Iterator[memoryview]) -> int:
        """Answer a C-STORE."""
        uid = str(request.get("AffectedSOPInstanceUID", ""))
        sop_class = str(request.get("AffectedSOPClassUID", ""))
        incoming = Incoming(sop_class, uid, context.transfer_syntax, self._calling_ae, fragments)
        taken = self._desk.take(self.image, incoming)
        if self.taken is None or uid == self.image.instance:
            self.taken = taken
        return taken.status


def _uids(image: Image) -> dict[str, str]:
    return {
        "StudyInstanceUID": image.study,
        "SeriesInstanceUID": image.series,
        "SOPInstanceUID": image.instance,
    }


def _told(classes: Collection[str]) -> set[str]:
    """The classes; where one is not told, it may be any that is analysed."""
    return set(classes) - {""} | (load_rules().sop_classes if "" in classes else set())


def _offered(classes: Collection[str]) -> list[Context]:
    """A presentation context for each class and syntax, so that objects come as they are stored; where these
    are too many, one for each class."""
    syntaxes = [str(syntax) for syntax in (*sorted(NATIVE), *PROCESSES) if decodes(syntax)]
    if len(classes) * len(syntaxes) <= MOST_CONTEXTS:
        return [(uid, (syntax,)) for uid, syntax in product(sorted(classes), syntaxes)]
    return [(uid, syntaxes) for uid in sorted(classes)[:MOST_CONTEXTS]]
