"""A process that is told to stop stops, however often it is told, and at whatever moment."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from told_often import told


def test_three_hundred_processes_told_to_stop_several_times_all_end() -> None:
    """A handler that set the event itself left one in 300 hanging for good (``stopped.py 300 naive``)."""
    program = str(Path(__file__).with_name("stopped.py"))
    done = subprocess.run(
        [sys.executable, program, "300"], check=True, capture_output=True, text=True, timeout=240
    )
    assert done.stdout == "0 of 300 did not stop\n"


TOLD_AS_THE_INTERPRETER_ENDS = """
import os, signal
from xrv_node import stopping

class ToldLate:
    def __del__(self, os=os, signal=signal):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        os.write(1, b"told late")

late = ToldLate()
stop = stopping.on_signal()
os.kill(os.getpid(), signal.SIGTERM)
stop.wait()
"""


def test_a_signal_while_the_interpreter_ends_is_no_other_end() -> None:
    """A node that had stopped in good order was seen to end with SIGINT's code, as if it had been killed."""
    done = subprocess.run(
        [sys.executable, "-c", TOLD_AS_THE_INTERPRETER_ENDS],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "told late")


@pytest.mark.slow  # a whole node twice: 10 of them by ``told_often.py 10``
@pytest.mark.parametrize("seed", [1, 2])
def test_a_node_with_work_in_hand_told_to_stop_several_times_ends_and_loses_nothing(
    tmp_path: Path, seed: int
) -> None:
    one = told(tmp_path, random.Random(seed))
    assert one.code == 0
    assert one.lost == ()
