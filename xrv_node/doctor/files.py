"""Whether the files of the spool are as they were written: all of them are read, which takes its time. Those
that are gone are for the check of the spool (`database.spool`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlalchemy import func, select

from xrv_node import intact
from xrv_node.db.tables import Instance, ResultRow
from xrv_node.doctor.diagnosis import Examined, Found, State
from xrv_node.spool import Spool

SHOWN = 20
"""Paths that are named before "and so many more"."""


def files(node: Examined) -> Found:
    """Compare every received object and every result with the SHA-256 in its row, where that is asked for."""
    if node.files is None:
        yield State.OK, "not read; `xrv-node doctor --files` reads and compares them all", ""
        return
    if not node.has_record:
        return
    with node.store.read() as db:
        total = sum(
            db.scalar(select(func.count()).select_from(table).where(table.purged_at.is_(None))) or 0
            for table in (Instance, ResultRow)
        )
    changed: dict[str, list[str]] = {"received objects": [], "results": []}
    unread: list[str] = []
    done = 0
    for done, (kind, path, whole) in enumerate(_looked_at(node), 1):
        if whole is None:
            unread.append(path)
        elif not whole:
            changed[kind].append(path)
        node.files(done, total)
    remedies = {
        "received objects": "look at the disk; send these objects again, or restore them from the backup",
        "results": "look at the disk; `xrv-node studies reprocess` makes them again",
    }
    for kind, paths in changed.items():
        if paths:
            yield State.FAIL, f"{kind} that are not as they were written: {_named(paths)}", remedies[kind]
    if unread:
        yield State.FAIL, f"cannot be read: {_named(unread)}", "look at the disk, and at owner and mode"
    if not unread and not any(changed.values()):
        yield State.OK, f"all {done} files are as they were written", ""


def _looked_at(node: Examined) -> Iterator[tuple[str, str, bool | None]]:
    """Kind and path of each file, and whether it is whole; None where it cannot be read."""
    spool = Spool(node.settings.data_dir)
    with node.store.read() as db:
        inputs = select(Instance.path, Instance.sha256, Instance.transfer_syntax_uid)
        for path, *facts in db.execute(inputs.where(Instance.purged_at.is_(None))).all():
            if spool.absolute(path).exists():
                yield "received objects", path, _whole(spool, intact.is_input, path, *facts)
        results = select(ResultRow.path, ResultRow.sha256).where(ResultRow.purged_at.is_(None))
        for path, *facts in db.execute(results).all():
            if spool.absolute(path).exists():
                yield "results", path, _whole(spool, intact.is_result, path, *facts)


def _whole(spool: Spool, compare: Callable[..., bool], path: str, *facts: str) -> bool | None:
    try:
        return compare(spool.absolute(path), *facts)
    except OSError:
        return None


def _named(paths: list[str]) -> str:
    more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    return ", ".join(paths[:SHOWN]) + more
