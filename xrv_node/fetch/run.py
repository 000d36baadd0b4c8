"""The courier's part in fetches: a thread an archive, so that a slow one delays no other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import structlog

from xrv_node import reasons
from xrv_node.db.queue import LeaseLostError
from xrv_node.db.store import Store, no_room
from xrv_node.errors import ConfigError, DestinationError
from xrv_node.fetch import keys, record, work
from xrv_node.fetch.desk import NoRoomError
from xrv_node.fetch.record import Claim
from xrv_node.fetch.work import Fetcher, StoppedError
from xrv_node.reasons import Reason
from xrv_node.receive.peer_limits import Pace
from xrv_node.receive.receiver import Receiver
from xrv_node.settings import Settings
from xrv_node.spool import Spool

log = structlog.get_logger("fetch")

IDLE_SECONDS = 1.0
"""Between two looks whether something is to be fetched."""
BROKEN_SECONDS = 5.0
"""Before a database that did not answer is asked again."""
END_SECONDS = 5.0
"""How long the process waits at its end for the object in hand; it is asked for again otherwise."""


@contextmanager
def running(
    settings: Settings,
    store: Store,
    spool: Spool,
    *,
    owner: str,
    stop: threading.Event,
    views_from_pixels: bool,
) -> Iterator[None]:
    """Fetch until `stop` is set, within this."""
    desk = replace(spool, desk=owner.rpartition("/")[2])
    desk.clear_drafts()
    record.recover(store, owner)
    with store.read() as db:
        keys.sweep(spool, record.unfinished(db))
    receiver = Receiver(settings, store, desk, views_from_pixels)
    pace = Pace(settings.fetch.max_objects_per_minute)
    threads = [
        threading.Thread(
            target=_run,
            args=(Fetcher(section, receiver, pace, owner, stop),),
            name=f"{section.name} fetch",
            daemon=True,
        )
        for section in settings.all_archives
    ]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join(END_SECONDS)


def _run(fetcher: Fetcher) -> None:
    while not fetcher.stop.is_set():
        try:
            if not one(fetcher):
                fetcher.stop.wait(IDLE_SECONDS)
        except Exception:
            log.exception("fetches are looked after later", archive=fetcher.section.name)
            fetcher.stop.wait(BROKEN_SECONDS)


def one(fetcher: Fetcher) -> bool:
    """Go on with the fetch that is due; tells whether there was one."""
    store = fetcher.receiver.store
    claim = record.claim(store, fetcher.section.name, fetcher.owner)
    if claim is None:
        return False
    try:
        work.go_on(fetcher, claim)
    except LeaseLostError:
        log.info("a fetch was given up, or is another process's", fetch=claim.fetch)
    except StoppedError:
        with suppress(LeaseLostError), store.begin() as db:
            record.release(db, claim)
    except NoRoomError as error:
        _failed(store, claim, reasons.of(error), blameless=True)
    except (ConfigError, DestinationError) as error:
        _failed(store, claim, reasons.of(error))
    except Exception as error:
        if (full := no_room(error)) is None:
            log.exception("a fetch failed", fetch=claim.fetch)
        _failed(
            store,
            claim,
            full or Reason("unexpected-error", error=type(error).__name__),
            blameless=full is not None,
        )
    return True


def _failed(store: Store, claim: Claim, why: Reason, *, blameless: bool = False) -> None:
    log.warning("a fetch goes on later", fetch=claim.fetch, archive=claim.archive, why=str(why))
    with suppress(LeaseLostError), store.begin() as db:
        record.failed(db, claim, why, blameless=blameless)
