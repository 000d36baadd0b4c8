"""A receiving AE for what a node sends back, while an acceptance or a validation runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.events import Event

from xrv_node.errors import ConfigError
from xrv_node.product import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from xrv_node.result_kinds import KINDS
from xrv_node.values import VERIFICATION

SUCCESS, CANNOT_UNDERSTAND = 0x0000, 0xC000
"""Statuses of C-STORE (PS3.4 table B.2-1)."""


@contextmanager
def listening(ae_title: str, host: str, port: int, store: Callable[[Event], int]) -> Iterator[int]:
    """Take the node's kinds of result until the end of the block, which gets the port.

    Parameters
    ----------
    ae_title
        That the node's destination names; others are refused.
    host
        Address to listen on.
    port
        0 for any that is free.
    store
        Answers a C-STORE with its status.

    Raises
    ------
    ConfigError
        Nothing can listen there.
    """
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
        yield int(server.server_address[1])
    finally:
        ae.shutdown()
