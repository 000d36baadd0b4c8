"""A receiving AE for what a node sends back, for as long as a validation runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Queue

from pydicom import Dataset
from pynetdicom.events import Event

from xrv_node.deliver import scp
from xrv_node.deliver.scp import CANNOT_UNDERSTAND, SUCCESS

WAITING = 16
"""Objects that wait to be looked at; with more the sender waits, so that memory is bounded: a segmentation of
a large detector's image has 13 MB. Fewer than a report and a segmentation of each image of one association
would stop a node that answers while it receives."""


@dataclass(frozen=True, slots=True)
class Listening:
    """A receiver that listens."""

    port: int
    objects: Queue[Dataset]
    """What came, in order."""


@contextmanager
def listen(ae_title: str, host: str, port: int) -> Iterator[Listening]:
    """Take the node's kinds of result until the end of the block.

    Parameters
    ----------
    ae_title
        That the node's destination names; others are refused.
    host
        Address to listen on.
    port
        0 for any that is free.

    Raises
    ------
    ConfigError
        Nothing can listen there.
    """
    objects: Queue[Dataset] = Queue(WAITING)

    def store(event: Event) -> int:
        try:
            dataset = event.dataset
            dataset.file_meta = event.file_meta  # in which syntax its pixels are
            objects.put(dataset)
        except Exception:  # the decoder has no error class of its own; the sender is told
            return CANNOT_UNDERSTAND
        return SUCCESS

    with scp.listening(ae_title, host, port, store) as taken:
        try:
            yield Listening(taken, objects)
        finally:
            # a sender that waits for room would keep the server from ending
            while not objects.empty():
                objects.get_nowait()
