"""A model directory that several users and processes share: one writes, all read, and who may not is told so."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from xrv_node.errors import WeightsError
from xrv_node.models import catalog, download, get_model, importing, model_dir, weights
from xrv_node.models.weights import Installed

NIH = catalog.find("nih")
NOBODY = 65534
PROCESSES = multiprocessing.get_context("fork")
"""Forked ones keep the catalogue that a test made."""


@pytest.fixture(scope="module")
def directory(released: Path) -> Iterator[Path]:
    """A directory of this user's with the classifier ``nih``, where other users may look (pytest's are private)."""
    path = Path(tempfile.mkdtemp(prefix="models-"))
    path.chmod(0o755)
    importing.import_file(released / catalog.find("all").file, NIH, path)
    get_model("nih", path)  # what is imported late is imported now: other users may not read this Python
    yield path
    shutil.rmtree(path)


@contextmanager
def as_other_user(directory: Path) -> Iterator[None]:
    """Look at a directory as one who may not write to it: root as nobody, others without their own permission."""
    if os.geteuid() == 0:
        os.seteuid(NOBODY)
        try:
            yield
        finally:
            os.seteuid(0)
        return
    before = stat.S_IMODE(directory.stat().st_mode)
    directory.chmod(before & ~0o222)
    try:
        yield
    finally:
        directory.chmod(before)


def test_who_may_only_read_can_use_and_verify_what_is_there(directory: Path) -> None:
    with as_other_user(directory):
        assert weights.missing(["nih", "all"], directory) == ["densenet121-res224-all"]
        assert weights.verify(NIH, directory) == weights.installed(NIH, directory)
        assert get_model("nih", directory).name == NIH.name
        assert download.pull(NIH, directory) is None  # it is here already: nothing to write
    assert [path.name for path in directory.iterdir()] == [f"{NIH.name}.safetensors"]


def test_who_may_not_write_is_told_where_and_what_to_do(directory: Path, released: Path) -> None:
    source = released / catalog.find("chestx_det").file
    chestx_det = replace(catalog.find("chestx_det"), sha256=None)
    readable = Path(shutil.copy(source, directory.with_suffix(".pth")))
    try:
        with as_other_user(directory):
            for attempt in (
                lambda: importing.import_file(readable, chestx_det, directory),
                lambda: download.pull(chestx_det, directory),
                lambda: model_dir.write(directory / "gate.json", b"{}"),
            ):
                with pytest.raises(
                    WeightsError, match=r"cannot be written \(.*\): .* or name another model"
                ) as e:
                    attempt()
                assert str(directory) in str(e.value)
    finally:
        readable.unlink()


def test_what_may_not_be_read_is_not_called_damaged(directory: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can take a file away from another user")
    file = NIH.weights_path(directory)
    for path, mode in ((file, 0o600), (directory, 0o700)):
        before = stat.S_IMODE(path.stat().st_mode)
        path.chmod(mode)
        try:
            with as_other_user(directory):
                for look in (
                    lambda: weights.missing(["nih"], directory),
                    lambda: weights.installed(NIH, directory),
                    lambda: get_model("nih", directory),
                ):
                    with pytest.raises(WeightsError, match=r"cannot be read \(Permission denied\): make it"):
                        look()
        finally:
            path.chmod(before)


def test_what_one_user_writes_all_can_read(directory: Path, tmp_path: Path) -> None:
    model_dir.write(tmp_path / "gate.json", b"{}")
    assert stat.S_IMODE((tmp_path / "gate.json").stat().st_mode) == 0o644
    umask = os.umask(0o022)
    os.umask(umask)
    assert stat.S_IMODE(NIH.weights_path(directory).stat().st_mode) == 0o666 & ~umask


def _load(directory: Path, results: multiprocessing.Queue) -> None:
    with as_other_user(directory):
        results.put(get_model("nih", directory).sha256)


def test_two_processes_use_it_at_once(directory: Path) -> None:
    assert results_of_two(_load, directory) == [weights.load(NIH, directory)[1].tensors_sha256] * 2


def results_of_two(
    function: Callable[[Path, multiprocessing.Queue], None], directory: Path
) -> list[str | Installed | None]:
    results = PROCESSES.Queue()
    processes = [PROCESSES.Process(target=function, args=(directory, results)) for _ in range(2)]
    for process in processes:
        process.start()
    got = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    return got


def _pull(directory: Path, results: multiprocessing.Queue) -> None:
    results.put(download.pull(catalog.find("nih"), directory))


def test_of_two_processes_that_pull_one_downloads(served: list[str], tmp_path: Path) -> None:
    got = results_of_two(_pull, tmp_path)
    assert len(served) == 1
    assert sorted(got, key=bool) == [None, weights.verify(catalog.find("nih"), tmp_path)]


def _hold(directory: Path, held: multiprocessing.Queue) -> None:
    with model_dir.alone(directory, "x"):
        held.put(os.getpid())
        signal.pause()


def test_a_process_that_is_killed_holds_nobody_up(tmp_path: Path) -> None:
    held = PROCESSES.Queue()
    first, second = (PROCESSES.Process(target=_hold, args=(tmp_path, held)) for _ in range(2))
    first.start()
    assert held.get(timeout=30) == first.pid
    second.start()
    first.kill()
    assert held.get(timeout=30) == second.pid
    second.kill()
    for process in (first, second):
        process.join()
