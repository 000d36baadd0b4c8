"""A report of an earlier study."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from analysed import BEFORE, Site, image
from pydicom import Dataset, dcmread

from xrv_node import report
from xrv_node.db.store import Store
from xrv_node.spool import Spool


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of an earlier study's report."""
    directory: Path = tmp_path_factory.mktemp("earlier")
    store = Store(f"sqlite:///{directory / 'audit.sqlite'}")
    store.migrate()
    site = Site(store, Spool(directory))
    site.analyse(image(1, BEFORE))
    (made,) = site.report(1)
    store.close()
    return report.to_bytes(made)


@pytest.fixture
def document(earlier: bytes) -> Dataset:
    return dcmread(BytesIO(earlier))
