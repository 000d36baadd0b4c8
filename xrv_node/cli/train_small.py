"""``train`` with a recipe that has a kind: a small network from nothing, on phantoms or datasets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xrv_node.cli.console import print_table, progress_bar, say, tell
from xrv_node.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn

    from xrv_node.lab.train.steps.figures import Figures, Points
    from xrv_node.lab.train.steps.origins import Origins
    from xrv_node.lab.train.steps.plan import Plan


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """Datasets to train on."""

    names: Sequence[str]
    folders: Sequence[Path]
    views: Sequence[str] | None


def is_one(recipe: Path | None) -> bool:
    """Whether a recipe is of this kind: a file that says so, or the name of one that is installed."""
    from xrv_node.lab.train.steps import plan

    return recipe is not None and plan.is_one(plan.found(recipe))


def no_fine_tuning(**given: object) -> None:
    """Refuse options that mean nothing here."""
    if named := [f"--{key}" for key, value in given.items() if value is not None]:
        raise ConfigError(f"{', '.join(named)} is for fine-tuning, and the recipe has a kind: leave it out")


def measure(recipe: Path, given: dict[str, Any], data: Data, file: Path, *, device: str) -> None:
    """Print the figures of a network that there is."""
    from xrv_node.lab.train.steps import plan as plans
    from xrv_node.lab.train.steps import run

    plan = plans.load(plans.found(recipe), **given)
    network, points = _network(plan, file, device)
    _, measured = run.measure(plan, _origins(plan, data), network, _say, points)
    _show(plan, measured)


def train(
    recipe: Path,
    given: dict[str, Any],
    data: Data,
    out: Path,
    *,
    name: str | None,
    device: str,
    resume: bool,
) -> None:
    """Train, and print the figures."""
    from xrv_node.lab.train.steps import plan as plans
    from xrv_node.lab.train.steps import run

    plan = plans.load(plans.found(recipe), **given)
    origins = _origins(plan, data)
    for key, value in plan.model_dump(exclude_none=True).items():
        tell(f"{key} = {value}")
    with progress_bar("training") as on_step:
        done = run.train(
            plan,
            origins,
            out,
            name=name,
            datasets=tuple(data.names),
            device=device,
            resume=resume,
            on_step=on_step,
            on_look=_look,
            on_stage=_say,
        )
    _show(plan, done.measured)
    say(f"{done.card}: the model card", f"{done.weights.path}: the network")
    if plan.phantoms is None:
        say("To use it:", f"  xrv-node models import {done.weights.path}")


def _origins(plan: Plan, data: Data) -> Origins:
    from xrv_node.lab.train.steps import origins

    if plan.phantoms is not None:
        if data.names:
            raise ConfigError("the recipe trains on phantoms, and datasets are named: leave one of both out")
        return origins.of_phantoms(plan)
    if not data.names or len(data.names) != len(data.folders):
        raise ConfigError(
            f"{len(data.names)} datasets and {len(data.folders)} folders: name datasets, and give --images "
            "once for each; or add a table [phantoms] to the recipe"
        )
    pairs = [(name, str(folder)) for name, folder in zip(data.names, data.folders, strict=True)]
    return origins.of_datasets(plan, pairs, None if data.views is None else tuple(data.views))


def _network(plan: Plan, file: Path, device: str) -> tuple[nn.Module, Points]:
    """The network of a file that ``train`` wrote, or that is installed, and its operating points."""
    from xrv_node.models import PHANTOM_SET, trained_here, weights
    from xrv_node.models.architectures import assemble
    from xrv_node.models.device import resolve_device

    place = file if file.suffix else PHANTOM_SET / f"{file.name}.safetensors"
    known = trained_here.described(place)
    if known is None or known.role != plan.kind:
        raise ConfigError(f"{file} is no {plan.kind} that `xrv-node train` wrote: name another file")
    state, record = weights.load(trained_here.entry(known), place.parent)
    network = assemble(trained_here.entry(known), state, record.dimensions).to(resolve_device(device))
    return network, dict(zip(known.labels, known.thresholds, strict=False))


def _look(row: dict[str, Any]) -> None:
    tell(" ".join(f"{key} {value:.4g}" for key, value in row.items()))


def _say(words: str) -> None:
    tell(f"{words} ...")


def _show(plan: Plan, measured: dict[str, Figures]) -> None:
    from xrv_node.lab.train.steps import figures

    columns, lines = figures.table(plan.kind, measured)
    print_table(lines, columns)
