"""What one tells the vendor of a PACS or of a viewer, and who sends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from typing_extensions import TypedDict

from xrv_node.db.rows import Checked
from xrv_node.db.tables import Instance
from xrv_node.deliver.senders import tried
from xrv_node.settings.section import is_loopback
from xrv_node.web.node import WebNode

DICOMWEB = "dicom-web"
"""Where the node speaks DICOMweb, below its own address."""


class SenderRow(TypedDict):
    """Who sent within the last hour."""

    ae_title: str
    """What it calls itself."""
    images: int
    """That came from it."""
    last: datetime
    """When the newest came."""


class Connection(TypedDict):
    """How the node is reached."""

    ae_title: str
    """That it answers to."""
    host: str
    """That it listens on."""
    port: int
    """That it listens on; 0: one that is free, which the log names."""
    reached_from: str
    """``this machine``, or ``any machine`` that the network lets through."""
    tls: bool
    """Whether DICOM is encrypted."""
    allowed_calling_ae: list[str]
    """Who may send; empty: any AE title."""
    allowed_addresses: list[str]
    """From where; empty: any."""
    dicomweb: str
    """The address of QIDO-RS, WADO-RS and STOW-RS."""
    ohif: dict[str, Any]
    """A data source for OHIF's configuration."""
    senders: list[SenderRow]
    """Who sent within the last hour."""
    destinations: list[str]
    """Which can be asked whether they are there."""


def connection(node: WebNode, address: str) -> Connection:
    """How the node is reached.

    Parameters
    ----------
    address
        Of the web, as who asks has reached it, with a slash at its end.
    """
    receive, root = node.settings.receive, f"{address}{DICOMWEB}"
    return {
        "ae_title": receive.ae_title,
        "host": receive.host,
        "port": receive.port,
        "reached_from": "this machine" if is_loopback(receive.host) else "any machine",
        "tls": receive.tls is not None,
        "allowed_calling_ae": list(receive.allowed_calling_ae),
        "allowed_addresses": list(map(str, receive.allowed_addresses)),
        "dicomweb": root,
        "ohif": _ohif(node.settings.node.name, root),
        "senders": _senders(node),
        "destinations": [one.name for one in node.settings.destinations],
    }


def check(node: WebNode, name: str) -> Checked:
    """Connect to a destination as a delivery would: of a DICOM peer, a C-ECHO."""
    return tried(node.settings.destination(name), node.settings.receive.ae_title)


def _ohif(name: str, root: str) -> dict[str, Any]:
    """A data source of OHIF 3."""
    return {
        "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
        "sourceName": "xrv-node",
        "configuration": {
            "friendlyName": name,
            "qidoRoot": root,
            "wadoRoot": root,
            "qidoSupportsIncludeField": True,
            "supportsFuzzyMatching": False,
            "supportsWildcard": True,
            "imageRendering": "wadors",
            "thumbnailRendering": "wadors",
            "enableStudyLazyLoad": True,
            "omitQuotationForMultipartRequest": True,
            "bulkDataURI": {"enabled": True},
        },
    }


def _senders(node: WebNode) -> list[SenderRow]:
    query = (
        select(Instance.calling_ae, func.count(), func.max(Instance.received_at))
        .where(Instance.received_at >= datetime.now(UTC) - timedelta(hours=1))
        .group_by(Instance.calling_ae)
        .order_by(Instance.calling_ae)
    )
    with node.store.read() as db:
        return [{"ae_title": ae, "images": number, "last": last} for ae, number, last in db.execute(query)]
