"""What a run keeps: what comes back is what was kept, and a disk's troubles are a sentence."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from xrv_node.errors import XrvNodeError
from xrv_node.lab.statistics.overlap import Pointing
from xrv_node.lab.validate.run_store import ImageResult, Marked, RunStore
from xrv_node.lab.validate.structures import Agreement


def result(row: int, size: int = 18) -> ImageResult:
    scores = np.random.default_rng(row).random(size, np.float32)
    return ImageResult(
        row, "", scores, scores / 2, 12.5, False, np.full(512, np.nan, np.float32), {"KVP": 110.0, "Modality": "DX"},
        (Marked("Mass", Pointing(True, 0.25, 0.5), 0.1),), (Agreement("Lungs", 0.9, 0.8),),
    )  # fmt: skip


def test_what_was_kept_comes_back(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "s.sqlite", {"a": "b"})
    store.add([result(3), ImageResult(1, "The file is damaged.")])
    bare, full = store.results()
    assert (bare.row, bare.why_not, bare.scores, bare.header, bare.unusual) == (
        1,
        "The file is damaged.",
        None,
        None,
        None,
    )
    given = result(3)
    for name in ("scores", "sigmoids", "embedding"):
        np.testing.assert_array_equal(getattr(full, name), getattr(given, name))
    for name in ("reconstruction_error", "unusual", "header", "marked", "structures"):
        assert getattr(full, name) == getattr(given, name)
    assert (store.done().tolist(), store.done(answered=True).tolist()) == ([1, 3], [3])
    store.close()


def test_a_disk_that_fills_is_a_sentence_and_what_was_kept_is_kept(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "s.sqlite", {})
    store.add([result(0)])
    store._db.execute(f"PRAGMA max_page_count = {store._db.execute('PRAGMA page_count').fetchone()[0]}")
    with pytest.raises(
        XrvNodeError, match=r"s\.sqlite cannot be used \(database or disk is full\).*make room"
    ):
        store.add(result(row, 5000) for row in range(1, 9))
    assert store.done().tolist() == [0]
    store.close()


def test_damage_that_shows_only_when_it_is_read_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    store = RunStore(path, {})
    store.add(result(row, 5000) for row in range(9))
    store.close()
    with sqlite3.connect(path) as db:
        root = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'image'").fetchone()[0]
        size = db.execute("PRAGMA page_size").fetchone()[0]
    with path.open("r+b") as file:
        file.seek((root - 1) * size + 12)
        file.write(b"\xff" * 64)
    with pytest.raises(XrvNodeError, match=r"s\.sqlite is damaged: remove it"):
        list(RunStore(path, {}).results())


def test_a_second_validation_into_the_same_folder_is_refused(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "s.sqlite", {})
    with pytest.raises(XrvNodeError, match="another validation may be writing it"):
        RunStore(tmp_path / "s.sqlite", {})
    store.close()
    (tmp_path / "file").write_text(json.dumps({}))
    with pytest.raises(XrvNodeError, match="name another --out"):
        RunStore(tmp_path / "file" / "s.sqlite", {})
