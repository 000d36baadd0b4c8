"""A training on disk: one safetensors file with all tensors, and the rest as JSON in its header.

One file, written whole or not at all: a process that dies leaves the checkpoint before, never half of one.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from xrv_node import durable
from xrv_node.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

FILE = "checkpoint.safetensors"


@dataclass(slots=True)
class Position:
    """Where a training is. Changed as it goes on."""

    stage: int = 0
    """Frozen or full, see ``schedule.stages``."""
    epoch: int = 0
    """Of the stage, from 0."""
    step: int = 0
    """Batches of the epoch that are done."""
    rate: float = 0.0
    """Peak learning rate of the stage."""
    loss: float = 0.0
    """Sum of the losses of the epoch's steps that trained."""
    trained: int = 0
    """How many these are: those of which an image could be read."""
    best_auc: float = -1.0
    """Highest validation AUC so far."""
    best_loss: float = 0.0
    """Validation loss of the weights that had it."""
    since_best: int = 0
    """Epochs of the stage that were not better."""
    history: list[dict[str, Any]] = field(default_factory=list)
    """A row for each epoch."""
    unread: dict[str, str] = field(default_factory=dict)
    """Images that could not be read, and why."""


@dataclass(frozen=True, slots=True, eq=False)
class Saved:
    """What a checkpoint holds."""

    identity: dict[str, Any]
    """What is trained, on what and how, by name: a run goes on only where all of it is the same."""
    position: Position
    network: dict[str, Tensor]
    best: dict[str, Tensor]
    """Weights of the highest validation AUC; empty before the first epoch's end."""
    optimizer: dict[str, Any]
    """As its ``state_dict``."""
    schedule: dict[str, Any]
    """As its ``state_dict``."""
    random: dict[str, Tensor]
    """torch's generator of each device, for networks that drop out at random."""


def save(
    path: Path,
    identity: Mapping[str, Any],
    position: Position,
    network: Mapping[str, Tensor],
    best: Mapping[str, Tensor],
    optimizer: Optimizer,
    schedule: LRScheduler,
) -> None:
    """Write a checkpoint over the one before.

    Raises
    ------
    OSError
        The disk is full or cannot be written; the checkpoint before is still there.
    """
    from safetensors.torch import save as encoded

    state = optimizer.state_dict()
    tensors = {
        **_prefixed("network", network),
        **_prefixed("best", best),
        **_prefixed("random", _generators()),
        **{
            f"optimizer.{number}.{key}": value
            for number, values in state["state"].items()
            for key, value in values.items()
        },
    }
    header = {
        "identity": identity,
        "position": asdict(position),
        "groups": state["param_groups"],
        "schedule": {k: v for k, v in schedule.state_dict().items() if not callable(v)},
    }
    metadata = {key: json.dumps(value) for key, value in header.items()}
    on_cpu = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    durable.write(path, [encoded(on_cpu, metadata)])


def load(path: Path) -> Saved:
    """Read a checkpoint.

    Raises
    ------
    ConfigError
        It is not there, damaged, or no checkpoint.
    """
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load_file

    try:
        with safe_open(path, framework="pt") as file:
            header = {key: json.loads(value) for key, value in (file.metadata() or {}).items()}
        tensors = load_file(path)
        states: dict[int, dict[str, Tensor]] = {}
        for key, value in _named("optimizer", tensors).items():
            number, _, name = key.partition(".")
            states.setdefault(int(number), {})[name] = value
        return Saved(
            identity=header["identity"],
            # checkpoints of before it was counted: every step was taken for one that trained
            position=Position(**{"trained": header["position"]["step"]} | header["position"]),
            network=_named("network", tensors),
            best=_named("best", tensors),
            optimizer={"state": states, "param_groups": header["groups"]},
            schedule=header["schedule"],
            random=_named("random", tensors),
        )
    except FileNotFoundError as error:
        raise ConfigError(f"{path} is not there: leave --resume out to begin a run") from error
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path} is damaged or no checkpoint: begin again in another folder") from error


def restore_generators(random: Mapping[str, Tensor]) -> None:
    """Set torch's generators as they were."""
    torch.set_rng_state(random["cpu"])
    if "cuda" in random and torch.cuda.is_available():
        torch.cuda.set_rng_state(random["cuda"])


def _generators() -> dict[str, Tensor]:
    cuda = {"cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else {}
    return {"cpu": torch.get_rng_state(), **cuda}


def _prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{key}": value for key, value in tensors.items()}


def _named(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    start = f"{prefix}."
    return {key.removeprefix(start): value for key, value in tensors.items() if key.startswith(start)}
