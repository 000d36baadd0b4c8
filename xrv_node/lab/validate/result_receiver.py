"""A receiving AE for what a node sends back, for as long as a validation runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Queue
from typing import Any

from pydicom import Dataset
from pynetdicom import AE, evt
from pynetdicom.events import Event

from xrv_node.errors import ConfigError
from xrv_node.product import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from xrv_node.result_kinds import KINDS
from xrv_node.values import VERIFICATION

WAITING = 16
"""Objects that wait to be looked at; with more the sender waits, so that memory is bounded: a segmentation of
a large detector's image has 13 MB. Fewer than a report and a segmentation of each image of one association
would stop a node that answers while it receives."""
SUCCESS, CANNOT_UNDERSTAND = 0x0000, 0xC000
"""Statuses of C-STORE (PS3.4 table B.2-1)."""


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

    ae = AE(ae_title=ae_title)
    ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    ae.require_called_aet = True
    ae.add_supported_context(VERIFICATION)
    for uid in sorted({uid for kind in KINDS.values() for uid in kind.sop_classes}):
        ae.add_supported_context(uid)
    try:
        server: Any = ae.start_server((host, port), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    except OSError as error:
        raise ConfigError(
            f"nothing can listen on {host}:{port} ({error.strerror}): name another --receive-port"
        ) from error
    try:
        yield Listening(int(server.server_address[1]), objects)
    finally:
        # a sender that waits for room would keep the server from ending
        while not objects.empty():
            objects.get_nowait()
        ae.shutdown()
