"""One node, one storescp and one Orthanc for all tests here: a node needs seconds to load its networks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import peer_archives
import peer_node
import pytest
from peer_programs import find, missing
from ports import free_port

CALLERS = (peer_archives.SENDER_AE, "ORTHANC", "XRVSEND")


@dataclass(frozen=True)
class Site:
    """What runs. An archive is None where its program is not installed."""

    node: peer_node.Node
    storescp: peer_archives.Storescp | None
    orthanc: peer_archives.Orthanc | None
    absent: peer_node.Destination
    """An archive that the node sends reports to and that does not run."""


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A node that knows both archives, and they it."""
    directory: Path = tmp_path_factory.mktemp("site")
    with ExitStack() as stack:
        storescp = (
            stack.enter_context(peer_archives.storescp(directory / "storescp")) if find("storescp") else None
        )
        orthanc = (
            stack.enter_context(peer_archives.orthanc(directory / "orthanc")) if find("Orthanc") else None
        )
        absent = peer_node.Destination("absent", "ABSENT", free_port(), send=("report",))
        known = [archive.destination for archive in (storescp, orthanc) if archive is not None]
        config = peer_node.write_config(directory, [*known, absent], callers=CALLERS)
        node = stack.enter_context(peer_node.serving(config))
        if orthanc is not None:
            orthanc.introduce("xrvnode", peer_node.AE_TITLE, node.port)
        yield Site(node, storescp, orthanc, absent)
        assert "a process ended" not in node.log.read_text()


@pytest.fixture
def node(site: Site) -> peer_node.Node:
    """The running node."""
    return site.node


@pytest.fixture
def storescp(site: Site) -> peer_archives.Storescp:
    """The running storescp, the node's destination of that name."""
    return site.storescp or pytest.skip(missing("storescp"))


@pytest.fixture
def orthanc(site: Site) -> peer_archives.Orthanc:
    """The running Orthanc, the node's destination of that name and itself a PACS that knows it as "xrvnode"."""
    return site.orthanc or pytest.skip(missing("Orthanc"))
