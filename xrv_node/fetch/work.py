"""One fetch from its keys to the last object: what the archive is asked, and what is written down of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import urlsplit

import structlog

from xrv_node.db.fetch_tables import FetchedState, FetchStudy
from xrv_node.db.queue import LeaseLostError
from xrv_node.db.store import Store
from xrv_node.fetch import archive, ask, connect, keys, record
from xrv_node.fetch.archive import Archive
from xrv_node.fetch.desk import Desk, Image, here
from xrv_node.fetch.record import Claim
from xrv_node.reasons import Reason
from xrv_node.receive.peer_limits import Pace
from xrv_node.receive.receiver import Receiver
from xrv_node.settings.archives import Archive as ArchiveSection
from xrv_node.settings.archives import DimseArchive

log = structlog.get_logger("fetch")


class StoppedError(Exception):
    """The process is to end, or another fetch has its turn."""


@dataclass(frozen=True, slots=True)
class Fetcher:
    """What one archive's fetches need."""

    section: ArchiveSection
    receiver: Receiver
    """Whose limits hold."""
    pace: Pace
    owner: str
    stop: threading.Event

    @property
    def desk(self) -> Desk:
        """Where what comes is taken."""
        at = self.section
        host = at.host if isinstance(at, DimseArchive) else urlsplit(at.url).hostname
        return Desk(self.receiver, host or "")

    def connect(self) -> Archive:
        """As ``connect.connect``."""
        return connect.connect(self.section, self.receiver.settings, self.receiver.spool.drafts)


def go_on(fetcher: Fetcher, claim: Claim) -> None:
    """Do what is left of a fetch.

    Raises
    ------
    StoppedError, LeaseLostError
        Before all of it is done; nothing is to be written down of that.
    ConfigError, DestinationError, NoRoomError
        It cannot go on now.
    """
    store = fetcher.receiver.store
    _look_up(fetcher, claim)
    while (study := _next(store, claim)) is not None:
        _study(fetcher, claim, study)
        with store.read() as db:
            crowded = record.others_wait(db, claim)
        if (crowded or fetcher.stop.is_set()) and _next(store, claim) is not None:
            raise StoppedError
    with store.begin() as db:
        record.finish(db, claim)
    log.info("fetched", fetch=claim.fetch, archive=claim.archive)


def _next(store: Store, claim: Claim) -> FetchStudy | None:
    with store.read() as db:
        return record.next_study(db, claim)


def _look_up(fetcher: Fetcher, claim: Claim) -> None:
    """Have the archive name the studies of what is asked for, one after another."""
    store, spool = fetcher.receiver.store, fetcher.receiver.spool
    with store.begin() as db:
        fetch = record.hold(db, claim)
        asked, done = fetch.asked, fetch.looked_up
    if done < asked:
        wanted = keys.read(spool, claim.fetch)
        if wanted is None or len(wanted) != asked:
            with store.begin() as db:
                record.failed(db, claim, Reason("fetch-keys-lost"), final=True)
            raise LeaseLostError("what was asked for is lost")
        with closing(fetcher.connect()) as peer:
            for number, key in enumerate(wanted[done:], done + 1):
                if fetcher.stop.is_set():
                    raise StoppedError
                studies = [key.study] if key.study else archive.studies_of(peer, key, claim.archive)
                with store.begin() as db:
                    fetch = record.hold(db, claim, fetcher.section.timeout_seconds)
                    ask.add_studies(db, claim.fetch, studies)
                    fetch.looked_up, fetch.attempts = number, 0
                    if not studies:
                        fetch.unmatched = [*fetch.unmatched, number]
    keys.forget(spool, claim.fetch)


def _study(fetcher: Fetcher, claim: Claim, row: FetchStudy) -> None:
    """Fetch what is wanted of one study and is not here."""
    store, uid = fetcher.receiver.store, row.study_instance_uid
    with closing(fetcher.connect()) as peer:
        wanted = archive.look(peer, uid, claim.archive, all_series=claim.all_series)
        if wanted is None:
            _counted(fetcher, claim, row.id, lambda db_row: None, FetchedState.MISSING)
            return
        with store.read() as db:
            known = here(db, wanted.images)
        left = [image for image in wanted.images if image.instance not in known]

        def begin(study: FetchStudy) -> None:
            study.objects, study.present = len(wanted.images), max(0, len(known) - study.fetched)
            study.failed, study.error = 0, None

        _counted(fetcher, claim, row.id, begin)
        if left:
            with peer.giving({image.sop_class for image in left}, fetcher.desk) as give:
                for image in left:
                    _wait(fetcher, claim)
                    _one_object(fetcher, claim, row.id, image, give(image))
    with store.begin() as db:
        record.hold(db, claim)
        study = db.get_one(FetchStudy, row.id)
        record.settle_study(db, claim, study, FetchedState.FAILED if study.failed else FetchedState.DONE)


def _one_object(fetcher: Fetcher, claim: Claim, row: int, image: Image, why: Reason | None) -> None:
    def count(study: FetchStudy) -> None:
        if why is None:
            study.fetched += 1
        else:
            study.failed, study.error = study.failed + 1, why

    if why is not None:
        log.warning(
            "an object did not come",
            fetch=claim.fetch,
            archive=claim.archive,
            study=image.study,
            instance=image.instance,
            why=str(why),
        )
    _counted(fetcher, claim, row, count, came=why is None)


def _counted(
    fetcher: Fetcher,
    claim: Claim,
    row: int,
    change: Callable[[FetchStudy], None],
    state: FetchedState | None = None,
    *,
    came: bool = False,
) -> None:
    """Change a study's row while the claim holds."""
    with fetcher.receiver.store.begin() as db:
        fetch = record.hold(db, claim, fetcher.section.timeout_seconds)
        if came:
            fetch.attempts = 0
        study = db.get_one(FetchStudy, row)
        change(study)
        if state is not None:
            record.settle_study(db, claim, study, state)


def _wait(fetcher: Fetcher, claim: Claim) -> None:
    """Wait for the next object's turn; the lease is renewed meanwhile."""
    seconds = fetcher.pace.turn(fetcher.section.name)
    while seconds > 0 and not fetcher.stop.wait(min(seconds, 60)):
        seconds -= 60
        with fetcher.receiver.store.begin() as db:
            record.hold(db, claim, fetcher.section.timeout_seconds)
    if fetcher.stop.is_set():
        raise StoppedError
