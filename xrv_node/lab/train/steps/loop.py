"""The training itself: a step after the other, and how it goes on where it was cut off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR

from xrv_node.lab.train import checkpoint
from xrv_node.lab.train.checkpoint import Position, Saved
from xrv_node.lab.train.no_number import NoNumberError, check_weights
from xrv_node.lab.train.steps import memory
from xrv_node.lab.train.steps.drawing import Example, Origin, drawn
from xrv_node.lab.train.steps.tasks import TASKS, images, stacked
from xrv_node.models import inference
from xrv_node.models.inputs import scaled_here

if TYPE_CHECKING:
    from xrv_node.lab.train.steps.plan import Plan

SHORTEST = 4
"""Steps of the shortest one-cycle schedule: torch's rounding leaves a shorter one without a phase."""


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """All that a training needs."""

    plan: Plan
    origin: Origin
    watched: Origin
    network: nn.Module
    """The one that is trained."""
    device: str
    out: Path
    """Folder of the checkpoint."""
    identity: dict[str, Any]
    """As ``checkpoint.Saved.identity``."""
    on_step: Callable[[int, int], None]
    """Told how many steps are done, and of how many."""
    on_look: Callable[[dict[str, Any]], None]
    """Told a row of the history."""


@scaled_here()
def fit(run: Run, saved: Saved | None = None) -> Position:
    """Train, from the beginning or from a checkpoint.

    On a CPU, with the same number of threads, a training that was cut off and goes on ends with the very
    weights of one that was not.

    Raises
    ------
    NoNumberError
        A loss or a weight is no longer a number.
    OSError
        A checkpoint cannot be written.
    """
    plan, network = run.plan, run.network.to(run.device).to(memory_format=torch.channels_last)
    optimizer = _optimizer(plan, network)
    schedule = OneCycleLR(optimizer, max_lr=plan.learning_rate, total_steps=max(plan.steps, SHORTEST))
    position = Position() if saved is None else saved.position
    if saved is not None:
        network.load_state_dict(saved.network)
        optimizer.load_state_dict(saved.optimizer)
        schedule.load_state_dict(saved.schedule)
    with threads(plan.threads):
        if position.step < plan.steps:
            _train(run, position, optimizer, schedule)
    return position


def _train(run: Run, position: Position, optimizer: AdamW, schedule: OneCycleLR) -> None:
    plan, task = run.plan, TASKS[run.plan.kind]
    measured = plan.measured
    watched = drawn(run.watched, plan.kind, measured.watched, plan.processes)
    looks = {plan.steps * (n + 1) // measured.looks for n in range(measured.looks)}
    run.network.train()
    for examples in memory.batches(plan, run.origin, position.step):
        position.loss += _step(run, examples, optimizer)
        position.trained += 1
        position.step += 1
        rate = float(optimizer.param_groups[0]["lr"])
        schedule.step()
        run.on_step(position.step, plan.steps)
        if position.step in looks:
            run.network.eval()
            with inference.exact():
                figure = task.glance(run.network, run.watched, watched)
            run.network.train()
            row = {"step": position.step, "loss": position.loss / position.trained, "rate": rate}
            position.history.append(row | {task.figure: figure})
            position.loss, position.trained = 0.0, 0
            run.on_look(position.history[-1])
        if position.step % plan.checkpoint_steps == 0 or position.step == plan.steps:
            _save(run, position, optimizer, schedule)


def _step(run: Run, examples: list[Example], optimizer: AdamW) -> float:
    """Train on a batch and return its loss."""
    truth, kind = stacked(examples), run.device.partition(":")[0]
    half = wants_half(run.plan.precision, kind)
    with torch.autocast(kind, dtype=torch.bfloat16, enabled=half):
        value = TASKS[run.plan.kind].loss(run.network, run.origin, images(truth, run.device), truth)
    if not value.isfinite():
        raise NoNumberError("the loss is")
    optimizer.zero_grad()
    torch.autograd.backward(value)
    nn.utils.clip_grad_norm_(run.network.parameters(), run.plan.clip_norm)
    optimizer.step()
    return value.item()


def wants_half(precision: str, kind: str) -> bool:
    """Whether forward passes are in bfloat16: ``auto`` where a device computes in it and does not only read
    it. On a processor that does, a step takes half the time."""
    if precision != "auto":
        return precision == "bfloat16"
    if kind == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    asked: Any = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return kind == "cpu" and bool(asked())


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Torch with so many threads, and afterwards as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _optimizer(plan: Plan, network: nn.Module) -> AdamW:
    """AdamW; biases, scales and shifts are vectors and do not decay."""
    kernels, vectors = ([p for p in network.parameters() if (p.ndim > 1) is many] for many in (True, False))
    groups: list[dict[str, Any]] = [{"params": kernels}, {"params": vectors, "weight_decay": 0.0}]
    return AdamW(groups, lr=plan.learning_rate, weight_decay=plan.weight_decay)


def _save(run: Run, position: Position, optimizer: AdamW, schedule: OneCycleLR) -> None:
    check_weights(run.network)
    checkpoint.save(
        path=run.out / checkpoint.FILE,
        identity=run.identity,
        position=position,
        network=run.network.state_dict(),
        best={},
        optimizer=optimizer,
        schedule=schedule,
    )
