"""The training itself: steps, epochs, stages, and how it goes on where it was cut off."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from xrv_node.errors import ConfigError, DatasetError
from xrv_node.lab.train import checkpoint, image_batches, learning_rate_finder, loss, measure, rate_schedule
from xrv_node.lab.train.checkpoint import Position, Saved
from xrv_node.lab.train.no_number import NoNumberError, check_weights, remedy
from xrv_node.models.inputs import scaled_here

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import AdamW
    from torch.optim.lr_scheduler import OneCycleLR

    from xrv_node.lab.datasets.table import LabelTable
    from xrv_node.lab.train.network import Start
    from xrv_node.lab.train.recipe import Recipe
    from xrv_node.lab.train.splits import Split

Progress = Callable[[int, int], None]
"""Told how many steps are done, and of how many at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """All that a training needs."""

    recipe: Recipe
    table: LabelTable
    """Its ``pathologies`` are the network's outputs."""
    split: Split
    start: Start
    """Its network is the one that is trained."""
    device: str
    out: Path
    """Folder of the checkpoint."""
    identity: dict[str, Any]
    """As ``checkpoint.Saved.identity``."""
    on_step: Progress
    on_epoch: Callable[[dict[str, Any]], None]
    """Told the row of each epoch."""

    @property
    def steps(self) -> int:
        """Of an epoch. What is left over of a full batch is left out, other images in each epoch."""
        return max(1, len(self.split.train) // self.recipe.batch)

    def batches(self, epoch: int, unread: dict[str, str], first: int = 0) -> Iterator[image_batches.Batch]:
        """Training images of an epoch, counted through all stages, from a step on."""
        size, recipe = self.recipe.batch, self.recipe
        rows = image_batches.shuffled(self.split.train, recipe.seed, epoch)[first * size : self.steps * size]
        images = image_batches.augmented(self.table, self.start.size, recipe, epoch)
        return image_batches.batches(images, rows, size, unread)


@dataclass(slots=True)
class _State:
    """What changes while a run goes on, beside the network."""

    position: Position
    best: dict[str, Tensor]
    weights: tuple[Tensor, Tensor]
    """Of classes and of tasks, for the loss."""


@scaled_here()
def fit(run: Run, saved: Saved | None = None) -> tuple[Position, dict[str, Tensor]]:
    """Train, from the beginning or from a checkpoint.

    On a CPU, with the same number of threads, a training that was cut off and goes on ends with the very
    weights of one that was not.

    Parameters
    ----------
    run
        Its network is changed.
    saved
        Where to go on; None: begin.

    Returns
    -------
    tuple
        How it went, and the weights of the highest validation AUC, on the CPU. These can be those that the
        training began with.

    Raises
    ------
    ConfigError
        A loss, an output or a weight is no longer a number.
    DatasetError
        No training or validation image can be read, or no finding of those that can has both classes.
    OSError
        A checkpoint cannot be written.
    """
    run.start.network.to(run.device)
    known = run.table.labels[run.split.train]
    recipe = run.recipe
    classes = loss.class_weights(known) if recipe.class_weights else np.ones((2, known.shape[1]), np.float32)
    tasks = loss.task_weights(known) if recipe.task_weights else np.ones(known.shape[1], np.float32)
    weights = (torch.from_numpy(classes).to(run.device), torch.from_numpy(tasks).to(run.device))
    with _generators(run, saved):
        if saved is None:
            state = _State(Position(), {}, weights)
        else:
            state = _State(saved.position, saved.best, weights)
            run.start.network.load_state_dict(saved.network)
        try:
            _train(run, state, saved)
        except NoNumberError as error:
            kept = (run.out / checkpoint.FILE).exists()
            words = remedy(error, run.start.words, state.position.history, kept=kept)
            raise ConfigError(words) from error
    return state.position, state.best


def _train(run: Run, state: _State, saved: Saved | None) -> None:
    """Measure what the training begins with, then train all stages, or what is left of them."""
    if saved is None:
        _record(run, state, {"stage": "start", "epoch": 0, "loss": None, "rate": None})
    planned = rate_schedule.stages(run.recipe)
    while state.position.stage < len(planned):
        _stage(run, state, planned, saved)
        saved = None


def _stage(run: Run, state: _State, planned: tuple[rate_schedule.Stage, ...], saved: Saved | None) -> None:
    """Train one stage, or what is left of it."""
    position, number = state.position, state.position.stage
    stage = planned[number]
    begun = position.epoch > 0 or position.step > 0
    parameters = rate_schedule.prepared(run.start, stage)
    if not begun:
        position.rate = _rate(run, stage, state.weights)
    optimizer = rate_schedule.optimizer(parameters, run.recipe, position.rate)
    cycle = rate_schedule.one_cycle(optimizer, position.rate, stage.epochs * run.steps)
    if saved is not None and begun:
        optimizer.load_state_dict(saved.optimizer)
        cycle.load_state_dict(saved.schedule)
    while position.stage == number:
        rate_schedule.prepared(run.start, stage)  # measuring has set the network to evaluation
        rate = _epoch(run, state, optimizer, cycle, sum(s.epochs for s in planned) * run.steps)
        if not position.trained:
            raise DatasetError(
                f"none of {len(run.split.train)} training images of {run.table.name} can be read: look for "
                "them in its folder"
            )
        row = {"stage": stage.name, "epoch": position.epoch + 1, "loss": position.loss / position.trained}
        _record(run, state, row | {"rate": rate})
        position.epoch, position.step = position.epoch + 1, 0
        position.loss, position.trained = 0.0, 0
        worn_out = stage.name == "all" and position.since_best >= run.recipe.patience
        if position.epoch == stage.epochs or worn_out:
            position.stage, position.epoch, position.since_best = number + 1, 0, 0
        _save(run, state, optimizer, cycle)


def _epoch(run: Run, state: _State, optimizer: AdamW, cycle: OneCycleLR, total: int) -> float:
    """Take the steps of an epoch that are left; return the rate of the last one."""
    position, rate = state.position, 0.0
    epoch = len(position.history)
    done = (epoch - 1) * run.steps  # the first row is that of the beginning
    for batch in run.batches(epoch, position.unread, position.step):
        value = _step(run.start.network, batch, run, state.weights, optimizer)
        if value is not None:
            position.loss, position.trained = position.loss + value, position.trained + 1
        rate = float(optimizer.param_groups[0]["lr"])
        cycle.step()
        position.step += 1
        run.on_step(done + position.step, total)
        if position.step % run.recipe.checkpoint_steps == 0 and position.step < run.steps:
            _save(run, state, optimizer, cycle)
    return rate


def _step(
    network: nn.Module, batch: image_batches.Batch, run: Run, weights: tuple[Tensor, Tensor], optimizer: AdamW
) -> float | None:
    """Train on a batch and return its loss; a batch of which no image can be read changes nothing, and has
    none."""
    if not len(batch.rows):
        return None
    kind = run.device.partition(":")[0]
    with torch.autocast(kind, dtype=torch.bfloat16, enabled=_half(run.recipe.precision, kind)):
        logits = network(batch.images.to(run.device))
    value = loss.masked_bce(logits, batch.labels.to(run.device), *weights)
    if not value.isfinite():
        raise NoNumberError("the loss is")
    optimizer.zero_grad()
    torch.autograd.backward(value)
    trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if not nn.utils.clip_grad_norm_(trained, run.recipe.clip_norm).isfinite():
        raise NoNumberError("the gradient of the loss is")
    optimizer.step()
    return value.item()


def _half(precision: str, kind: str) -> bool:
    """Whether forward passes are in bfloat16. Few CPUs are faster with it: there it has to be asked for."""
    if precision == "auto":
        return kind == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return precision == "bfloat16"


def _rate(run: Run, stage: rate_schedule.Stage, weights: tuple[Tensor, Tensor]) -> float:
    """The peak rate of a stage; the finder looks for it on a copy of the network."""
    if stage.rate != "find":
        return stage.rate
    network = copy.deepcopy(run.start.network)
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = rate_schedule.optimizer(parameters, run.recipe, learning_rate_finder.LOWEST)
    images = chain.from_iterable(run.batches(0, {}) for _ in repeat(None))

    def step(rate: float) -> float:
        for group in optimizer.param_groups:
            group["lr"] = rate
        try:
            found = (_step(network, batch, run, weights, optimizer) for batch in images)
            return next(loss for loss in found if loss is not None)
        except NoNumberError:  # it broke out, which is what the test is for
            return float("nan")

    found = learning_rate_finder.suggest(*learning_rate_finder.range_test(step))
    if found is None:
        raise ConfigError("the loss falls at no learning rate: give learning_rate a number")
    return found


def _record(run: Run, state: _State, row: dict[str, Any]) -> None:
    """Measure the network on the validation part, and keep its weights if they are the best so far."""
    position = state.position
    check_weights(run.start.network)
    images = image_batches.plain(run.table, run.start.size)
    found = measure.answers(run.start.network, images, run.split.valid, run.recipe.batch, position.unread)
    areas = measure.aucs(found)
    known = [area for area in areas if area is not None]
    if not known:
        raise DatasetError(
            f"no finding is both present and absent in the {len(found.rows)} validation images that can be "
            "read: see why the others cannot (`xrv-node datasets verify`)"
        )
    auc = sum(known) / len(known)
    logits, labels = (torch.from_numpy(part).to(run.device) for part in (found.logits, found.labels))
    valid_loss = loss.masked_bce(logits, labels, *state.weights).item()
    if not np.isfinite(valid_loss):
        raise NoNumberError("the validation loss is")
    # areas of few images tie; and an output that was drawn knows nothing, however lucky its order
    better = (auc, -valid_loss) > (position.best_auc, -position.best_loss)
    better &= row["stage"] != "start" or run.start.knows_all
    if better:
        position.best_auc, position.best_loss, position.since_best = auc, valid_loss, 0
        state.best = {k: v.detach().cpu().clone() for k, v in run.start.network.state_dict().items()}
    else:
        position.since_best += 1
    by_finding = dict(zip(run.table.pathologies, areas, strict=True))
    position.history.append(row | {"valid_loss": valid_loss, "auc": auc, "best": better, "aucs": by_finding})
    run.on_epoch(position.history[-1])


def _save(run: Run, state: _State, optimizer: AdamW, cycle: OneCycleLR) -> None:
    check_weights(run.start.network)
    network = run.start.network.state_dict()
    path = run.out / checkpoint.FILE
    checkpoint.save(
        path=path,
        identity=run.identity,
        position=state.position,
        network=network,
        best=state.best,
        optimizer=optimizer,
        schedule=cycle,
    )


@contextmanager
def _generators(run: Run, saved: Saved | None) -> Iterator[None]:
    """Torch's generators as the run needs them, and afterwards as they were."""
    with torch.random.fork_rng(devices=[run.device] if run.device.startswith("cuda") else []):
        torch.manual_seed(run.recipe.seed)
        if saved is not None:
            checkpoint.restore_generators(saved.random)
        yield
