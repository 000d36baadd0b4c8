"""Reading processes: light, in order, and gone with what they read for."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from serving import wait
from test_validate_score_dataset import PLAN

from xrv_node.errors import XrvNodeError
from xrv_node.lab.datasets.load import load
from xrv_node.lab.validate import reader_processes, score_dataset
from xrv_node.lab.validate.read_images import PreparedImages, batches

HEAVY = {"torch", "pandas", "scipy", "highdicom", "sqlalchemy", "matplotlib", "sklearn", "pynetdicom"}

PROGRAM = """
import multiprocessing, time
from xrv_node.lab.validate import reader_processes

if __name__ == "__main__":
    reader_processes.begin("xrv_node.lab.validate.read_images")
    results = reader_processes.each(time.sleep, [0] * 5 + [600] * 5, 2)
    next(results)
    print(*(process.pid for process in multiprocessing.active_children()), flush=True)
    list(results)
"""


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_reading_process_needs_none_of_the_heavy_libraries():
    code = "import sys, xrv_node.lab.validate.read_images; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in told.stdout.split()}
    assert loaded >= {"numpy", "pydicom"}
    assert not loaded & HEAVY


def test_a_part_without_masks_leaves_the_table_behind(dataset: Path):
    (dataset / "BBox_List_2017.csv").write_text(
        "Image Index,Finding Label,Bbox [x,y,w,h],,,\n00000003_000.png,Effusion,100,200,640,300\n"
    )
    table = load("nih", dataset, views=("*",), unique_patients=False)
    images = PreparedImages(table, np.arange(12), (64,), "area", with_regions=True)
    without, found = batches(images.part(slice(0, 3)), 3, 0), list(batches(images, 3, 1))
    assert images.part(slice(0, 3))._table is None
    assert [item.regions for batch in without for item in batch.good] == [{}, {}, {}]
    assert {item.row: list(item.regions) for batch in found for item in batch.good if item.regions} == {
        3: ["Effusion"]
    }
    assert images[3].regions["Effusion"].any()
    assert np.array_equal(images[3].regions["Effusion"], found[1].good[0].regions["Effusion"])


def test_a_file_of_the_working_directory_is_no_module(tmp_path: Path):
    for name in ("numpy", "cv2", "copy"):
        (tmp_path / f"{name}.py").write_text("open('taken', 'w')")
    program = tmp_path / "elsewhere" / "program.py"
    program.parent.mkdir()
    program.write_text(PROGRAM.replace(" + [600] * 5", ""))
    told = subprocess.check_output([sys.executable, str(program)], cwd=tmp_path, text=True)
    assert len(told.split()) == 2
    assert not (tmp_path / "taken").exists()


def test_results_come_in_order_and_errors_in_their_place():
    found = reader_processes.each(math.sqrt, [*range(20), -1, 4], 2)
    assert [next(found) for _ in range(20)] == [math.sqrt(i) for i in range(20)]
    with pytest.raises(ValueError, match="math domain"):
        next(found)
    assert not multiprocessing.active_children()


def test_a_reader_that_is_killed_is_said_and_what_is_scored_is_kept(dataset: Path, tmp_path: Path):
    plan = replace(PLAN, images=dataset, batch=1, workers=1)

    def kill(done: int, _of: int) -> None:
        if done == 2:
            for process in multiprocessing.active_children():
                os.kill(process.pid or 0, signal.SIGKILL)
                process.join()

    with pytest.raises(XrvNodeError, match="a reading process was ended from outside") as told:
        score_dataset.score(plan, tmp_path, tmp_path / "out", kill)
    assert isinstance(told.value.__cause__, BrokenProcessPool)
    again: list[int] = []
    score_dataset.score(plan, tmp_path, tmp_path / "out", lambda done, _of: again.append(done)).store.close()
    assert again[0] >= 2
    assert again[-1] == 12


def test_no_reader_outlives_a_program_that_is_killed():
    program = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    pids = [int(word) for word in program.stdout.readline().split()]
    assert len(pids) == 2
    assert all(map(runs, pids))
    program.kill()
    program.wait()
    wait(lambda: not any(map(runs, pids)), 30, "the readers to end")
