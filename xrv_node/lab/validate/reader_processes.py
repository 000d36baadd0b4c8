"""Processes that read images beside the networks.

Threads would not do: the decoders of JPEG 2000 and JPEG-LS hold Python's lock. The processes are forked from
one that has imported what reading needs and nothing else. To start each anew would import it again; to fork
the program itself would copy the locks of torch's threads, held or not.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import forkserver
from threading import Thread
from typing import TypeVar

AHEAD = 2
"""Results that wait for each process: with their size it bounds the memory, whatever the dataset's."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def begin(module: str) -> None:
    """Start the process that the others are forked from; it imports a module, and nobody waits for it.

    Parameters
    ----------
    module
        What the functions that are given to `each` need. Only the first call in a program counts.
    """
    forkserver.set_forkserver_preload(["__main__", module])
    inherited = os.environ.get("PYTHONSAFEPATH")
    # else a file of the working directory would be taken for the library of that name
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        forkserver.ensure_running()
    finally:
        if inherited is None:
            del os.environ["PYTHONSAFEPATH"]


def each(function: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """Call a function for each item in other processes, some calls ahead of what is asked for.

    Parameters
    ----------
    function
        Of a module. What it takes and returns is pickled.
    items
        Taken one by one, as there is room.
    workers
        Processes, at least 1.

    Yields
    ------
    Result
        In order. What a call raises is raised in its place.

    Raises
    ------
    BrokenProcessPool
        A process was killed.
    """
    begin(function.__module__)
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("forkserver"), _settle)
    pending: deque[Future[Result]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > AHEAD * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _settle() -> None:
    """One thread a process: more would fight for the same cores. Who asked for it ends it."""
    import cv2

    cv2.setNumThreads(1)
    warnings.simplefilter("ignore")  # of libraries: they name no file, and are the first process's to tell
    os.environ["OMP_NUM_THREADS"] = "1"  # one of the resamplers is torch's
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal
    Thread(target=_follow, daemon=True).start()


def _follow() -> None:
    """End with the program, also where that is killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
