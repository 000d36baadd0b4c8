"""Being told to stop, by SIGTERM or SIGINT, as often as anybody likes; or something else, by SIGHUP.

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


def on_signal(hangup: threading.Event | None = None) -> threading.Event:
    """Return an event that the first SIGTERM or SIGINT sets. For the main thread, once in a process.

    Parameters
    ----------
    hangup
        Set by each SIGHUP that somebody sends; one that comes because the terminal has gone is as SIGTERM.
        None: SIGHUP ends the process at once.
    """
    stop = threading.Event()
    told, telling = os.pipe()
    os.set_blocking(telling, False)
    threading.Thread(target=_listen, args=(told, stop, hangup), name="signals", daemon=True).start()
    # A full pipe has been read from or will be: what it has no room for says nothing new.
    signal.set_wakeup_fd(telling, warn_on_full_buffer=False)
    for number in SIGNALS if hangup is None else (*SIGNALS, signal.SIGHUP):
        signal.signal(number, _noticed)
    atexit.register(_ignore)
    return stop


def _listen(told: int, stop: threading.Event, hangup: threading.Event | None) -> None:
    at_terminal = _at_terminal()
    while not set(SIGNALS) & (signals := set(os.read(told, 512))):  # bytes are numbers, and so are signals
        if hangup is not None and signal.SIGHUP in signals:
            if at_terminal and not _at_terminal():
                break
            hangup.set()
    stop.set()


def _at_terminal() -> bool:
    """Whether the process has a terminal that could hang up."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _noticed(number: int, frame: FrameType | None) -> None:
    """In place of the default action, which would end the process at once."""


def _ignore() -> None:
    for number in (*SIGNALS, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
