"""How a case's images go out: as a PACS would send them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from time import monotonic

from xrv_node.acceptance.expected import ExpectedCase, ExpectedImage, Sending
from xrv_node.deliver import scu
from xrv_node.deliver.way import Way
from xrv_node.errors import DestinationError


def send(way: Way, expected: ExpectedCase, *, calling_ae: str) -> list[Sending]:
    """Send a case's images once; each over an association of its own at the same time where it says so.

    Raises
    ------
    DestinationError
        No association can be had.
    """
    images = list(expected.images)
    if expected.case.manner != "side by side":
        return list(_sent(way, images, calling_ae))
    with ThreadPoolExecutor(len(images)) as threads:
        parts = threads.map(lambda image: list(_sent(way, [image], calling_ae)), images)
        return list(chain.from_iterable(parts))


def to_archive(way: Way, path: Path, *, calling_ae: str) -> None:
    """Send one object, such as the protocol, to an archive.

    Raises
    ------
    DestinationError
        It was not taken.
    """
    (sent,) = scu.send(way.peer, [path], calling_ae=calling_ae, context=way.context)
    if not sent.good:
        raise DestinationError(f"{way.peer.ae_title} did not take {path.name}: {sent.says}")


def _sent(way: Way, images: Sequence[ExpectedImage], calling_ae: str) -> Iterator[Sending]:
    by_path = {image.path: image.instance for image in images}
    for sent in scu.send(way.peer, list(by_path), calling_ae=calling_ae, context=way.context):
        yield Sending(by_path[sent.path], sent.says, sent.good, monotonic())
