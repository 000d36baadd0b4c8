"""Starts small processes that wait as the node's do, tells each to stop several times, and counts who does not.

``python stopped.py COUNT [naive]``; with ``naive`` the handlers set the event themselves.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
from time import monotonic, sleep

from xrv_node import stopping

AT_ONCE = 10
PATIENCE = 60.0
"""Seconds: far more than a loaded machine needs, and the price of a process that hangs."""


def naive() -> threading.Event:
    stop = threading.Event()
    for number in stopping.SIGNALS:
        signal.signal(number, lambda *_: stop.set())
    return stop


def child(ready: int, prepare: object) -> None:
    """Wait in short turns, as the supervisor does, with threads that wait on the same event."""
    stop = naive() if prepare == "naive" else stopping.on_signal()
    for _ in range(2):
        threading.Thread(target=stop.wait, daemon=True).start()
    os.write(ready, b"!")
    while not stop.wait(0.0005):
        pass
    stop.wait()


def start(prepare: str) -> int:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            child(writer, prepare)
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    os.read(reader, 1)
    os.close(reader)
    return pid


def stuck(pids: list[int], dice: random.Random, patience: float) -> int:
    moments = sorted((dice.random() * 0.02, pid) for pid in pids for _ in range(dice.randint(2, 6)))
    began = monotonic()
    for moment, pid in moments:
        sleep(max(0.0, began + moment - monotonic()))
        os.kill(
            pid, dice.choice(stopping.SIGNALS)
        )  # a process that has ended is there until it is waited for
    left, bad, end = set(pids), 0, monotonic() + patience
    while left and monotonic() < end:
        for pid in tuple(left):
            ended, status = os.waitpid(pid, os.WNOHANG)
            left -= {ended}
            bad += status != 0
        sleep(0.001)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return len(left) + bad


if __name__ == "__main__":
    count, way = int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""
    dice = random.Random(1)
    hanging = 0
    for _ in range(count // AT_ONCE):
        hanging += stuck([start(way) for _ in range(AT_ONCE)], dice, 1.0 if way else PATIENCE)
    print(f"{hanging} of {count} did not stop")
