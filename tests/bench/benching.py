"""What the benchmarks share: runs in turns, medians of ratios, a table, and the machine in words."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any


def alternate(runs: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """(wall, processor) seconds of each run, in turns: what else the machine does then meets all alike."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            if number:  # the first round warms up
                taken[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return taken


def medians(taken: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Median wall and processor seconds."""
    return median(wall for wall, _ in taken), median(cpu for _, cpu in taken)


def ratio(slow: Sequence[tuple[float, float]], fast: Sequence[tuple[float, float]], which: int) -> float:
    """Median of the rounds' ratios; `which` is 0 for wall and 1 for processor time."""
    return median(a[which] / b[which] for a, b in zip(slow, fast, strict=True))


def peak(arguments: Sequence[str]) -> float:
    """Peak resident memory in MB of this benchmark run anew with `arguments`, in a process of its own."""
    done = subprocess.run(
        [sys.executable, sys.argv[0], *arguments], capture_output=True, text=True, check=True
    )
    return float(done.stdout.split()[-1])


def own_peak() -> float:
    """This process's peak resident memory so far, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux hands getrusage's peak on from the process that started this one
        words = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(words.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table in Markdown."""
    for row in (columns, ["---"] * len(columns), *rows):
        print("| " + " | ".join(str(cell) for cell in row) + " |", flush=True)


def machine() -> str:
    """The machine and the software, in words."""
    import torch
    import torchxrayvision

    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{name or platform.processor()}, {os.cpu_count()} cores, {torch.backends.cpu.get_cpu_capability()}, "
        f"{memory:.0f} GiB; Python {platform.python_version()}, torch {torch.__version__} with "
        f"{torch.get_num_threads()} threads, torchxrayvision {torchxrayvision.__version__}; load "
        f"{os.getloadavg()[0]:.1f} at the start"
    )
