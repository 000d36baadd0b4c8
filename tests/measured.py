"""What each test costs, measured once and kept beside the tests: the dear ones begin first, and ``make quick`` omits them.

``--measure`` writes ``measured.txt`` anew: seconds of processor time, of a test and of all processes that it
started, the largest of its parameters. What tests of a file share costs each of them what it costs the first: left
out, the first leaves it to the next. A test that is not in the file counts as cheap until it is measured.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from descendants import descendants, processor_time

FILE = Path(__file__).with_name("measured.txt")
SLOW = 0.06
"""Seconds from which a test is ``slow``."""

_spent = [0.0]
_costs = Counter[str]()
_shared = dict[tuple[str, str], float]()
"""What the set-up of a fixture of a file took, by file and fixture."""
_uses = dict[str, list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--measure", action="store_true", help="write tests/measured.txt anew")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow, and put the files first that take longest: the last one runs alone."""
    known = read()
    files = Counter[Path]()
    for item in items:
        cost = known.get(name(item.nodeid), 0.0)
        files[item.path] += cost
        if cost >= SLOW:
            item.add_marker("slow")
    items.sort(key=lambda item: (-files[item.path], str(item.path)))


def name(nodeid: str) -> str:
    """A test without its parameters."""
    return nodeid.partition("[")[0]


def read() -> dict[str, float]:
    """Seconds by test, of those that are not cheap."""
    lines = FILE.read_text().splitlines() if FILE.exists() else []
    return {test: float(seconds) for seconds, test in map(str.split, lines)}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, pytest.TestReport]:
    report: pytest.TestReport = yield
    if item.config.getoption("--measure"):
        before, _spent[0] = _spent[0], sum(os.times()[:4]) + sum(map(processor_time, descendants()))
        shared = [name for name in item.fixturenames if _scope(item, name) in ("module", "session")]
        report.user_properties = [("shared", shared)]
        report.user_properties += [("processor", max(0.0, _spent[0] - before))] if before else []
    return report


def _scope(item: pytest.Item, fixture: str) -> str:
    found = item._fixtureinfo.name2fixturedefs.get(fixture)  # type: ignore[attr-defined]
    return found[-1].scope if found else "function"


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    told: dict[str, Any] = dict(report.user_properties)
    seconds, file = told.get("processor", 0.0), report.nodeid.partition("::")[0]
    _costs[report.nodeid] += seconds
    _uses[report.nodeid] = told.get("shared", [])
    if report.when == "setup":
        for fixture in _uses[report.nodeid]:
            _shared.setdefault((file, fixture), seconds)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.config.getoption("--measure") and not hasattr(session.config, "workerinput"):
        tests = dict[str, float]()
        for nodeid, seconds in _costs.items():
            shares = [_shared[nodeid.partition("::")[0], fixture] for fixture in _uses[nodeid]]
            tests[name(nodeid)] = max(seconds, tests.get(name(nodeid), 0.0), *shares)
        again = {test.partition("::")[0] for test in tests}
        kept = {test: seconds for test, seconds in read().items() if test.partition("::")[0] not in again}
        rows = sorted((test, seconds) for test, seconds in (kept | tests).items() if seconds >= SLOW / 2)
        FILE.write_text("".join(f"{seconds:.2f} {test}\n" for test, seconds in rows))
