"""Fixtures that the tests of several rooms use."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from xrv_node.audit.store import Store
from xrv_node.receive.spool import Spool

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"



@pytest.fixture(scope="session")
def data() -> Path:
    """Real radiographs and DICOM files, where they lie beside the project."""
    if not DATA.is_dir():
        pytest.skip(f"the real images are not at {DATA}")
    return DATA


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty audit database."""
    made = Store(f"sqlite:///{tmp_path / 'audit.sqlite'}")
    made.migrate()
    yield made
    made.close()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """An empty spool."""
    return Spool(tmp_path)


def peer(program: str) -> str:
    """The path of a program that a test needs as its peer; the test is skipped without it.

    With ``XRV_NODE_PEERS=required``, as in CI, it fails instead.
    """
    found = shutil.which(program)
    if found is None:
        reason = f"{program} is not installed"
        if os.environ.get("XRV_NODE_PEERS") == "required":
            pytest.fail(reason)
        pytest.skip(reason)
    return found
