"""The index follows what the audit database says of the objects."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from analysed import Site, image

from xrv_node.db.store import Store
from xrv_node.index import find, follow
from xrv_node.index.index import Index
from xrv_node.index.listing import Chosen
from xrv_node.spool import Spool
from xrv_node.values import DEFAULT_STYLE


@pytest.fixture
def site(store: Store, spool: Spool) -> Site:
    """A node."""
    return Site(store, spool)


@pytest.fixture
def index(spool: Spool) -> Iterator[Index]:
    """Its index, empty."""
    made = Index(f"sqlite:///{spool.root / 'index.sqlite'}", spool.root, Chosen(DEFAULT_STYLE))
    yield made
    made.close()


def test_a_study_is_there_with_its_results(site: Site, index: Index) -> None:
    site.analyse(image(1), image(1, number=2))
    assert follow.catch_up(index, site.store, site.spool)
    assert [e.sop_instance_uid for e in find.instances(index, "1.2.3.1")] == ["1.2.3.1.1.1", "1.2.3.1.1.2"]
    site.report(1)
    follow.catch_up(index, site.store, site.spool)
    entries = find.instances(index, "1.2.3.1")
    assert [e.result for e in entries] == [False, False, True]
    headers = [json.loads(text) for text in find.metadata(index, "1.2.3.1")]
    assert [h["00080018"]["Value"][0] for h in headers] == [e.sop_instance_uid for e in entries]
    assert headers[0]["7FE00010"] == {"vr": "OW", "BulkDataURI": "xrv-node:bulk/7FE00010"}
    pixels = entries[0].path.read_bytes()[entries[0].pixel_offset :][: entries[0].pixel_length]
    assert pixels == image(1).PixelData
