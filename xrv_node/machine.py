"""What a process runs on: the processor, the device under the networks, the driver, the libraries."""

from __future__ import annotations

import os
import platform
import re
from contextlib import suppress
from pathlib import Path

from xrv_node.product import VERSION

_DRIVER = Path("/proc/driver/nvidia/version")
_PROCESSORS = Path("/proc/cpuinfo")


def facts(device: str) -> dict[str, str]:
    """Return what may change a result, or the time that it takes, without having been meant to.

    Parameters
    ----------
    device
        That of the networks, e.g. ``cpu`` or ``cuda:0``.

    Returns
    -------
    dict of str
        Name and value, in the order in which they are shown; the driver only of a machine that has one.
    """
    import numpy as np
    import torch

    found = {
        "xrv-node": VERSION,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "system": f"{platform.system()} {platform.release()}",
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "device": device,
    }
    if device.startswith("cuda"):
        found["device"] = f"{device}: {torch.cuda.get_device_name(device)}"
        found["driver"] = _driver()
        found["CUDA"], found["cuDNN"] = str(torch.version.cuda), str(torch.backends.cudnn.version())  # type: ignore[no-untyped-call]
    return found


def _processor() -> str:
    with suppress(OSError):
        if named := re.search(r"^model name\s*:\s*(.+)$", _PROCESSORS.read_text(), re.MULTILINE):
            return named[1].strip()
    return platform.processor() or platform.machine()


def _driver() -> str:
    """Of the graphics card, as the kernel has it."""
    with suppress(OSError):
        if number := re.search(r"\b(\d+\.\d+(?:\.\d+)?)\b", _DRIVER.read_text()):
            return f"NVIDIA {number[1]}"
    return "unknown"
