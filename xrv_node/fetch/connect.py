"""The way to an archive, whichever kind it is."""

from __future__ import annotations

from pathlib import Path

from xrv_node.fetch.archive import Archive
from xrv_node.settings import Settings
from xrv_node.settings.archives import Archive as ArchiveSection
from xrv_node.settings.archives import DimseArchive


def connect(section: ArchiveSection, settings: Settings, drafts: Path) -> Archive:
    """Connect to an archive.

    Parameters
    ----------
    drafts
        Where what comes may lie until it is looked at.

    Raises
    ------
    ConfigError
        A file that its section names is missing or wrong.
    DestinationError
        It cannot be reached, or refuses.
    """
    if isinstance(section, DimseArchive):
        from xrv_node.fetch.dimse import Peer

        return Peer(section, settings.receive.ae_title)
    from xrv_node.fetch.web import Service

    return Service(section, settings.receive.max_object_mb << 20, drafts)


def check(section: ArchiveSection, settings: Settings, drafts: Path) -> None:
    """Ask an archive what a fetch would, about a patient that nobody is.

    Raises
    ------
    ConfigError, DestinationError
        As :func:`connect`; or it lacks what is needed.
    """
    archive = connect(section, settings, drafts)
    try:
        archive.check()
    finally:
        archive.close()
