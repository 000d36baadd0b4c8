"""How a case's images go out: as a PACS would send them."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from time import monotonic

from xrv_node.acceptance.expected import ExpectedCase, ExpectedImage, Sending
from xrv_node.deliver import scu
from xrv_node.errors import DestinationError


def send(
    peer: scu.Peer, expected: ExpectedCase, *, calling_ae: str, context: ssl.SSLContext | None = None
) -> list[Sending]:
    """Send a case's images once; each over an association of its own at the same time where it says so.

    Parameters
    ----------
    context
        For TLS; None: without.

    Raises
    ------
    DestinationError
        No association can be had.
    """
    images = list(expected.images)
    if expected.case.manner != "side by side":
        return list(_sent(peer, images, calling_ae, context))
    with ThreadPoolExecutor(len(images)) as threads:
        parts = threads.map(lambda image: list(_sent(peer, [image], calling_ae, context)), images)
        return list(chain.from_iterable(parts))


def to_archive(peer: scu.Peer, path: Path, *, calling_ae: str) -> None:
    """Send one object, such as the protocol, to an archive.

    Raises
    ------
    DestinationError
        It was not taken.
    """
    (sent,) = scu.send(peer, [path], calling_ae=calling_ae)
    if not sent.good:
        raise DestinationError(f"{peer.ae_title} did not take {path.name}: {sent.says}")


def _sent(
    peer: scu.Peer, images: Sequence[ExpectedImage], calling_ae: str, context: ssl.SSLContext | None
) -> Iterator[Sending]:
    by_path = {image.path: image.instance for image in images}
    for sent in scu.send(peer, list(by_path), calling_ae=calling_ae, context=context):
        yield Sending(by_path[sent.path], sent.says, sent.good, monotonic())
