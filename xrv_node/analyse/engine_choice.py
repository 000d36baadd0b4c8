"""The engines that were measured to be fastest on this machine, kept in the model directory.

It fails closed: a choice that was measured with another torch, another processor or other weights is not
used. Plain torch is what is left then.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from xrv_node.analyse.benchmark import CHECKS, Timing
from xrv_node.analyse.engines import ENGINES, PLAIN, Engine
from xrv_node.models import NodeNetworks, model_dir
from xrv_node.values import SetRole


def _machine(networks: NodeNetworks) -> dict[str, str]:
    """What a choice holds for."""
    kind = networks.device.partition(":")[0]
    part = torch.cuda.get_device_name(networks.device) if kind == "cuda" else _processor()
    return {"device": part, "torch": torch.__version__, "model_set": networks.identity.weights_digest}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = named[0] if named else platform.processor() or platform.machine()
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"


def path(directory: Path, device: str) -> Path:
    """Where the choice for a device lies in the model directory."""
    return directory / f"engine-{device.replace(':', '-')}.json"


def save(timings: Sequence[Timing], directory: Path, networks: NodeNetworks) -> Path:
    """Keep the choice beside the weights; returns the file.

    Raises
    ------
    WeightsError
        The directory cannot be written.
    """
    choice = {
        **_machine(networks),
        "engines": {t.role: t.engine for t in timings if t.chosen},
        "measured": [asdict(t) for t in timings if t.failure is None],
        "failed": {f"{t.role} {t.engine}": t.failure for t in timings if t.failure},
    }
    target = path(directory, networks.device)
    model_dir.write(target, json.dumps(choice, indent=2, allow_nan=False).encode())
    return target


def chosen(directory: Path, networks: NodeNetworks) -> dict[SetRole, Engine]:
    """Return the engine of each network: the measured one, or plain torch.

    Plain torch where nothing was measured, where it was with another processor, torch or other weights, and
    where the file cannot be read: an engine is a convenience, and its file no reason to stop.
    """
    try:
        choice = json.loads(path(directory, networks.device).read_bytes())
        if {key: choice[key] for key in _machine(networks)} != _machine(networks):
            return dict.fromkeys(CHECKS, PLAIN)
        engines = {role: ENGINES[choice["engines"][role]] for role in CHECKS}
        return {role: PLAIN if e.declines(networks.device) else e for role, e in engines.items()}
    except (OSError, ValueError, KeyError, TypeError):
        return dict.fromkeys(CHECKS, PLAIN)
