"""What a fetch would bring: the archive is asked, and nothing is fetched or written down."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from xrv_node.db.fetch_rows import FetchableStudy, FetchPreview
from xrv_node.db.store import Store
from xrv_node.fetch import archive, connect
from xrv_node.fetch.archive import Archive
from xrv_node.fetch.ask import Wanted
from xrv_node.fetch.desk import here
from xrv_node.settings import Settings


def preview(settings: Settings, store: Store, wanted: Wanted) -> FetchPreview:
    """Ask an archive what it has of what is wanted.

    Raises
    ------
    ConfigError, DestinationError
        As ``connect.connect``, and the archive's.
    """
    section = settings.archive(wanted.archive)
    unmatched: list[int] = []
    studies: dict[str, FetchableStudy] = {}
    with (
        TemporaryDirectory() as drafts,
        closing(connect.connect(section, settings, Path(drafts))) as peer,
    ):
        for number, key in enumerate(wanted.keys, 1):
            found = list(
                _of(
                    peer,
                    store,
                    wanted,
                    [key.study] if key.study else archive.studies_of(peer, key, section.name),
                )
            )
            studies |= {one["study"]: one for one in found}
            if not found:
                unmatched.append(number)
    return {"studies": list(studies.values()), "unmatched": unmatched}


def _of(peer: Archive, store: Store, wanted: Wanted, studies: list[str]) -> Iterator[FetchableStudy]:
    for uid in studies:
        found = archive.look(peer, uid, wanted.archive, all_series=wanted.all_series)
        if found is not None:
            with store.read() as db:
                present = len(here(db, found.images))
            yield {
                "study": uid,
                "modalities": list(found.modalities),
                "series": found.series,
                "objects": len(found.images),
                "present": present,
            }
