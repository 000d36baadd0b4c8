"""No process that a test started is left when it has ended: passed, failed, out of time, or killed with pytest.

After each test every process is killed that came about in it, with all below it; those of a fixture that several
tests share go with the fixture. Where pytest itself is killed, a process that waits for just this does it.
"""

from __future__ import annotations

import multiprocessing.forkserver
import multiprocessing.resource_tracker
import os
import subprocess
import sys
import uuid
from collections.abc import Generator
from typing import Any

import descendants
import forked
import pytest
from descendants import OWNER, children, end

_shared: dict[int, set[int]] = {}
"""The processes of each fixture that several tests share, by the fixture's ``id``."""
_guard: list[subprocess.Popen[bytes]] = []


def pytest_sessionstart(session: pytest.Session) -> None:
    if hasattr(session.config, "workerinput") or not session.config.getoption("numprocesses", None):
        forked.adopt_orphans()
        os.environ[OWNER] = forked.ENVIRONMENT[OWNER] = uuid.uuid4().hex
        _guard.append(subprocess.Popen([sys.executable, "-S", "-E", descendants.__file__, str(os.getpid())]))


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Generator[None, Any, Any]:
    if fixturedef.scope == "function":
        return (yield)
    before = children()
    made = yield  # where it fails, what it started is the test's and ends with it
    _shared.setdefault(id(fixturedef), set()).update(children() - before - _ours())
    return made


def pytest_fixture_post_finalizer(fixturedef: pytest.FixtureDef[Any]) -> None:
    end(_shared.pop(id(fixturedef), ()))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown() -> Generator[None, Any, Any]:
    try:
        return (yield)
    finally:
        end(children() - _ours().union(*_shared.values()))


def _ours() -> set[int]:
    """What serves more than one test, and was started by the first that needed it."""
    tracker = multiprocessing.resource_tracker._resource_tracker._pid  # type: ignore[attr-defined]
    server = multiprocessing.forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    helper = forked.Helper.current.pid if forked.Helper.current else None
    return {pid for pid in (tracker, server, helper, *(guard.pid for guard in _guard)) if pid}
