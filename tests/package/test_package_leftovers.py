"""What a test started ends with it, however it ends: looked at from outside, in a pytest of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from descendants import alive
from serving import wait

TESTS = Path(__file__).parents[1]
BEGIN = """
import subprocess, sys, time
from pathlib import Path
import pytest

PARENT = '''
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"], start_new_session=True)
print(child.pid, flush=True)
time.sleep(600)
'''

def start():
    process = subprocess.Popen([sys.executable, "-S", "-c", PARENT], stdout=subprocess.PIPE, text=True)
    with Path("pids").open("a") as file:
        file.write(f"{process.pid} {int(process.stdout.readline())} ")
    return process

def runs():
    from descendants import alive
    return [alive(int(pid)) for pid in Path("pids").read_text().split()]
"""


def ran(directory: Path, text: str, *options: str) -> subprocess.Popen[bytes]:
    (directory / "conftest.py").write_text('pytest_plugins = ["leftovers"]\n')
    (directory / "test_it.py").write_text(BEGIN + text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, *options]
    path = {"PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path[1:]]), "PYTEST_ADDOPTS": ""}
    return subprocess.Popen(
        [*command, "--rootdir", str(directory), str(directory)], cwd=directory, env=os.environ | path,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def pids(directory: Path) -> list[int]:
    file = directory / "pids"
    return [int(word) for word in file.read_text().split()] if file.exists() else []


def test_whether_it_passes_fails_or_runs_out_of_time(tmp_path: Path) -> None:
    process = ran(
        tmp_path,
        """
def test_passes(): start()
def test_none_is_left_by_one_that_passes(): assert runs() == [False] * 2
def test_fails(): assert not start()
def test_none_is_left_by_one_that_fails(): assert runs() == [False] * 4
@pytest.mark.timeout(2)
def test_is_too_slow(): start().wait()
def test_none_is_left_by_one_that_is_too_slow(): assert runs() == [False] * 6
@pytest.fixture
def broken():
    start()
    raise ValueError
def test_is_not_set_up(broken): pass
def test_none_is_left_by_one_that_is_not_set_up(): assert runs() == [False] * 8
""",
    )
    said = process.communicate()[0].decode()
    assert "2 failed, 5 passed, 1 error" in said, said
    assert not any(map(alive, pids(tmp_path)))


def test_what_tests_share_ends_after_the_last_of_them(tmp_path: Path) -> None:
    process = ran(
        tmp_path,
        """
@pytest.fixture(scope="class")
def shared(): return start()
class TestTogether:
    def test_one(self, shared): assert runs() == [True] * 2
    def test_two(self, shared): assert runs() == [True] * 2
def test_afterwards(): assert runs() == [False] * 2
""",
    )
    said = process.communicate()[0].decode()
    assert "3 passed" in said, said


@pytest.mark.parametrize("options", [(), ("-n", "1")], ids=["alone", "with xdist"])
def test_when_pytest_itself_is_killed(tmp_path: Path, options: tuple[str, ...]) -> None:
    process = ran(tmp_path, "def test_waits(): start().wait()\n", *options)
    wait(lambda: len(pids(tmp_path)) == 2, 60, "the test to start its processes")
    assert all(map(alive, pids(tmp_path)))
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    wait(lambda: not any(map(alive, pids(tmp_path))), 60, "its processes to end")


def test_when_time_is_up_and_the_process_with_it(tmp_path: Path) -> None:
    """A test that no signal can interrupt takes its process of pytest along."""
    text = '@pytest.mark.timeout(2, method="thread")\ndef test_waits(): start().wait()\n'
    process = ran(tmp_path, text)
    process.communicate()
    assert len(pids(tmp_path)) == 2
    wait(lambda: not any(map(alive, pids(tmp_path))), 60, "its processes to end")
