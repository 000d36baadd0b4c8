"""Fixtures that the tests of several rooms use."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from xrv_node.cli import THREADS
from xrv_node.db.store import Store
from xrv_node.spool import Spool

pytest_plugins = ["leftovers", "measured"]

# As the command line sets it, and before anything loads torch.
os.environ |= THREADS | os.environ

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def _no_log_left_behind() -> Iterator[None]:
    """A command that ran in this process has set the log up to write where nothing is any more."""
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture(scope="session")
def data() -> Path:
    """Real radiographs and DICOM files, where they lie beside the project."""
    if not DATA.is_dir():
        pytest.skip(f"the real images are not at {DATA}")
    return DATA


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty audit database, to copy: making its schema takes longer than most tests."""
    file = tmp_path_factory.mktemp("empty") / "audit.sqlite"
    made = Store(f"sqlite:///{file}")
    made.migrate()
    made.close()
    assert [path.name for path in file.parent.iterdir()] == [file.name]  # nothing is left in a log beside it
    return file


@pytest.fixture
def store(tmp_path: Path, empty_database: Path) -> Iterator[Store]:
    """An empty audit database."""
    shutil.copyfile(empty_database, tmp_path / "audit.sqlite")
    made = Store(f"sqlite:///{tmp_path / 'audit.sqlite'}")
    yield made
    made.close()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """An empty spool."""
    return Spool(tmp_path)
