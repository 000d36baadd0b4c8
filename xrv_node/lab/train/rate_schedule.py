"""What is trained when, and at which rate: the last layer first, then all, each over one cycle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR

from xrv_node.lab.train.recipe import SCRATCH

if TYPE_CHECKING:
    from xrv_node.lab.train.network import Start
    from xrv_node.lab.train.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a training with an optimiser and a cycle of its own."""

    name: Literal["head", "all"]
    epochs: int
    rate: float | Literal["find"]
    """Peak of the learning rate."""


def stages(recipe: Recipe) -> tuple[Stage, ...]:
    """Return the stages of a recipe in order; a network that was drawn has nothing worth freezing."""
    head = Stage("head", 0 if recipe.init == SCRATCH else recipe.frozen_epochs, recipe.frozen_learning_rate)
    whole = Stage("all", recipe.epochs, recipe.learning_rate)
    return tuple(stage for stage in (head, whole) if stage.epochs)


def prepared(start: Start, stage: Stage) -> list[nn.Parameter]:
    """Set the network to train what the stage trains, and return that.

    A frozen layer keeps its batch normalisation too: in training mode its running statistics would move.
    """
    whole = stage.name == "all"
    start.network.requires_grad_(whole).train(whole)
    start.head.requires_grad_(True).train()
    return [parameter for parameter in start.network.parameters() if parameter.requires_grad]


def optimizer(parameters: list[nn.Parameter], recipe: Recipe, rate: float) -> AdamW:
    """Return the optimiser: Adam with AMSGrad as the released classifiers', weight decay decoupled.

    Biases, and the scales and shifts of batch normalisations, are vectors and do not decay: they are no
    capacity to be held back.
    """
    kernels, vectors = ([p for p in parameters if (p.ndim > 1) is kernel] for kernel in (True, False))
    groups: list[dict[str, Any]] = [{"params": kernels}, {"params": vectors, "weight_decay": 0.0}]
    return AdamW(groups, lr=rate, weight_decay=recipe.weight_decay, amsgrad=True)


def one_cycle(made: AdamW, rate: float, steps: int) -> OneCycleLR:
    """Return the one-cycle schedule over a stage's steps (Smith 2018), with torch's defaults."""
    # torch's own rounding leaves a cycle of a step or two without a phase to divide by
    return OneCycleLR(made, max_lr=rate, total_steps=max(steps, 4))
