"""The objects that a URL names, as the index has them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import Request

from xrv_node.db.store import is_busy
from xrv_node.errors import ImageError
from xrv_node.index import find
from xrv_node.index.entries import Entry
from xrv_node.index.follow import catch_up
from xrv_node.spool import is_uid
from xrv_node.web import node as nodes
from xrv_node.web.dicomweb import frames as located
from xrv_node.web.dicomweb.frames import Frames
from xrv_node.web.node import WebNode
from xrv_node.web.problem import Problem

_BUSY_SECONDS = 5
_GONE = "this instance was here and is no more: its file was removed"


def entries(request: Request, study: str, series: str | None = None) -> list[Entry]:
    """Return the objects of a study or series, in one stable order.

    Raises
    ------
    Problem
        400 for what is no UID, 404 where there are none, 410 where they are gone, 503 while another process
        writes and does not come to an end, or the index is made anew.
    """
    with unlocked():
        node = _node(request, study, series or study)
        _catch_up(node)
        found = [entry for entry in find.instances(node.index, study, series) if entry.path.exists()]
        gone = not found and find.instances(node.index, study, series, listed=False)
    if found:
        return found
    what = "study" if series is None else "series"
    if gone:
        raise Problem(410, f"this {what} was here and is no more: its files were removed")
    raise Problem(404, f"no such {what}")


def entry(request: Request, study: str, series: str, instance: str) -> Entry:
    """Return one object, superseded ones too.

    Raises
    ------
    Problem
        As `entries`.
    """
    with unlocked():
        node = _node(request, study, series, instance)
        found = find.instance(node.index, study, series, instance)
        if found is None:  # it may have come since
            _catch_up(node)
            found = find.instance(node.index, study, series, instance)
    if found is None:
        raise Problem(404, "no such instance")
    if found.purged or not found.path.exists():
        raise Problem(410, _GONE)
    return found


def frames_of(found: Entry) -> Frames:
    """Return where the frames of an object lie.

    Raises
    ------
    Problem
        404 where it has none that can be found, with the reason; 410 where the file is gone.
    """
    try:
        return located.locate(found.path, found.sha256)
    except ImageError as error:
        raise unreadable(found, 404, f"no frames: {error}") from error


def unreadable(found: Entry, status: int, text: str) -> Problem:
    """What to say of an object that could not be read: 410 where its file was removed meanwhile."""
    return Problem(status, text) if found.path.exists() else Problem(410, _GONE)


@contextmanager
def unlocked() -> Iterator[None]:
    """Ask the databases within this.

    Raises
    ------
    Problem
        503 while another process writes and does not come to an end.
    """
    try:
        yield
    except Exception as error:
        if not is_busy(error):
            raise
        says, after = "the database is locked at present", {"Retry-After": str(_BUSY_SECONDS)}
        raise Problem(503, says, after) from error


def _catch_up(node: WebNode) -> None:
    """Have the index know what has come; one that does not yet cannot say what there is not."""
    if not catch_up(node.index, node.store, node.spool):
        says, after = "the index is being made", {"Retry-After": str(_BUSY_SECONDS)}
        raise Problem(503, says, after)


def _node(request: Request, *uids: str) -> WebNode:
    if not all(map(is_uid, uids)):
        raise Problem(400, "the address holds what is no UID")
    return nodes.of(request)
