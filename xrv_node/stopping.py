"""Being told to stop, by SIGTERM or SIGINT, as often as anybody likes.

A handler runs between two steps of the main thread, wherever that is. One that set an event which the main
thread waits on could meet it within the event's own lock, which is not reentrant, and never come back. So the
handlers do nothing: the interpreter writes each signal's number to a pipe (``signal.set_wakeup_fd``), and a
thread reads it.

The interpreter puts the default action back as it ends, which takes a second with torch loaded: a signal then
would end a node that has stopped in good order as one that was killed. It leaves alone what is ignored.
"""

from __future__ import annotations

import atexit
import os
import signal
import threading
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def on_signal() -> threading.Event:
    """Return an event that the first SIGTERM or SIGINT sets. For the main thread, once in a process."""
    stop = threading.Event()
    told, telling = os.pipe()
    os.set_blocking(telling, False)
    threading.Thread(target=_listen, args=(told, stop), name="signals", daemon=True).start()
    # A full pipe has been read from or will be: what it has no room for says nothing new.
    signal.set_wakeup_fd(telling, warn_on_full_buffer=False)
    for number in SIGNALS:
        signal.signal(number, _noticed)
    atexit.register(_ignore)
    return stop


def _listen(told: int, stop: threading.Event) -> None:
    while not set(SIGNALS) & set(os.read(told, 512)):  # bytes are numbers, and so are signals
        pass
    stop.set()


def _noticed(number: int, frame: FrameType | None) -> None:
    """In place of the default action, which would end the process at once."""


def _ignore() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
