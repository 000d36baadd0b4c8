"""Bytes from outside, at random and guided by coverage: no fault of ours, nothing left behind, no growth."""

from __future__ import annotations

import gc
import importlib.util
import os
import random
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from fuzz_node import tell_faults
from fuzz_seeds import CORPUS, ENTRIES, Run, corpus, entry
from hypothesis import given, settings
from hypothesis import strategies as st

SECONDS = os.environ.get("XRV_NODE_FUZZ_SECONDS", "5")
"""Of the guided fuzzing of each entry."""

EDITS = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 8), st.binary(max_size=6)), max_size=8
)
"""Where, how many bytes are taken out there, and what is put in."""


@pytest.fixture
def enter(tmp_path: Path) -> Callable[[str], Run]:
    """Make the function of an entry; what the node would log as its own fault fails the test."""

    def make(name: str) -> Run:
        tell_faults()
        return entry(name, tmp_path)

    return make


def edited(data: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    """An input that was changed here and there."""
    changed = bytearray(data)
    for where, out, put in edits:
        at = int(where * len(changed))
        changed[at : at + out] = put
    return bytes(changed)


@pytest.mark.parametrize("name", ENTRIES)
def test_what_was_found_once_stays_repaired(enter: Callable[[str], Run], name: str) -> None:
    run = enter(name)
    for path in corpus(name):
        assert path.stat().st_size < 4096
        run(path.read_bytes())


@pytest.mark.parametrize("name", ENTRIES)
def test_changed_inputs_break_nothing(enter: Callable[[str], Run], name: str) -> None:
    run = enter(name)
    seeds = [path.read_bytes() for path in corpus(name)]

    @settings(max_examples=150, deadline=None)
    @given(st.sampled_from(seeds), EDITS)
    def change(seed: bytes, edits: list[tuple[float, int, bytes]]) -> None:
        run(edited(seed, edits))

    change()


@pytest.mark.parametrize("name", ENTRIES)
def test_memory_does_not_grow(enter: Callable[[str], Run], name: str) -> None:
    run, inputs, chance = enter(name), [path.read_bytes() for path in corpus(name)], random.Random(1)

    def some(count: int) -> int:
        for _ in range(count):
            data = bytearray(chance.choice(inputs))
            data[chance.randrange(len(data))] = chance.randrange(256)
            run(bytes(data))
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = some(100)  # what is made once: caches, statements, connections
        assert some(150) - before < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ENTRIES)
def test_guided_by_coverage(name: str, tmp_path: Path) -> None:
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is not installed: it exists for Linux on x86-64 alone")
    script = CORPUS.parent / "fuzz_run.py"
    options = [f"-max_total_time={SECONDS}", f"-artifact_prefix={tmp_path}/"]
    # By way of a shell's child: Linux counts the memory of the process that forks as the peak of what it runs.
    done = subprocess.run(
        ["sh", "-c", '"$@"; exit $?', "sh", sys.executable, str(script), name, *options],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "DONE" in done.stderr
    assert not list(tmp_path.iterdir())
