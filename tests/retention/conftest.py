"""A node's database and spool with studies that are done."""

from __future__ import annotations

import pytest
from analysed import Site

from xrv_node.db.store import Store
from xrv_node.spool import Spool


@pytest.fixture
def site(store: Store, spool: Spool) -> Site:
    return Site(store, spool)
