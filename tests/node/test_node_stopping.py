"""A process that is told to stop stops, however often it is told, and at whatever moment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_three_hundred_processes_told_to_stop_several_times_all_end() -> None:
    """A handler that set the event itself left one in 300 hanging for good (``stopped.py 300 naive``)."""
    program = str(Path(__file__).with_name("stopped.py"))
    done = subprocess.run(
        [sys.executable, program, "300"], check=True, capture_output=True, text=True, timeout=240
    )
    assert done.stdout == "0 of 300 did not stop\n"
