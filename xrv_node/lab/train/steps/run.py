"""A whole training of a small network: draw, train, choose operating points, measure, write."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xrv_node import durable
from xrv_node.errors import ConfigError
from xrv_node.lab.train import checkpoint, export
from xrv_node.lab.train.steps import card, figures, loop
from xrv_node.lab.train.steps.drawing import drawn
from xrv_node.lab.train.steps.tasks import TASKS
from xrv_node.models import importing
from xrv_node.models.device import resolve_device
from xrv_node.models.trained_here import PHANTOM, TrainedNetwork

if TYPE_CHECKING:
    from torch import nn

    from xrv_node.lab.train.steps.figures import Figures, Points
    from xrv_node.lab.train.steps.origins import Origins
    from xrv_node.lab.train.steps.plan import Plan
    from xrv_node.models.weights import Installed

ON_PHANTOMS = (
    "Trained on phantoms: it knows drawn images alone, and says nothing of a patient.",
    "Its figures are those of phantoms; on radiographs of patients it is worthless.",
)
BY_ITS_USER = (export.BY_ITS_USER,)

FREE = ("processes", "checkpoint_steps", "leave_out", "measured")
"""Keys of a plan that may be others when a run goes on: they change nothing of its weights."""


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """What came out."""

    weights: Installed
    card: Path
    measured: dict[str, Figures]
    """By what each set of images is called."""
    points: Points


def train(
    plan: Plan,
    origins: Origins,
    out: Path,
    *,
    name: str | None = None,
    datasets: tuple[str, ...] = (),
    device: str = "cpu",
    resume: bool = False,
    on_step: Callable[[int, int], None] = lambda done, total: None,
    on_look: Callable[[dict[str, Any]], None] = lambda row: None,
    on_stage: Callable[[str], None] = lambda words: None,
) -> Trained:
    """Train a small network from nothing.

    Parameters
    ----------
    plan
        How.
    origins
        On what, and what it is measured on.
    out
        Folder of the run: checkpoint, ``history.json``, ``figures.json``, the network and its card.
    name
        What the network is called; None: ``phantom-`` and its kind, or as the folder.
    datasets
        Titles of what it was trained on, where that is no phantoms.
    device
        ``cpu``, ``cuda``, ``cuda:N``, ``mps`` or ``auto``.
    resume
        Go on with the folder's checkpoint.
    on_step, on_look, on_stage
        Told how it goes.

    Raises
    ------
    ConfigError
        The folder cannot be written, holds a run and `resume` is not given, or one of another plan; a name or
        device that cannot be; a loss that is no longer a number.
    DatasetError
        The datasets have nothing to train on.
    """
    title = _title(plan, name, out)
    place = resolve_device(device)
    saved_at = out / checkpoint.FILE
    if saved_at.exists() and not resume:
        raise ConfigError(f"{out} holds a run: add --resume to go on with it, or name another folder")
    saved = checkpoint.load(saved_at) if resume else None
    identity = plan.model_dump(mode="json", exclude=set(FREE)) | {"datasets": list(datasets)}
    before = identity if saved is None else {k: v for k, v in saved.identity.items() if k not in FREE}
    if before != identity:
        others = [key for key in sorted(identity.keys() | before) if before.get(key) != identity.get(key)]
        raise ConfigError(
            f"the run in {out} was begun with other {', '.join(others)}: go on with the same, or begin "
            "another run in another folder"
        )
    network = TASKS[plan.kind].build(origins.train, plan.size, plan.seed)
    with _writing(out):
        on_stage("training")
        run = loop.Run(
            plan=plan,
            origin=origins.train,
            watched=origins.watched,
            network=network,
            device=place,
            out=out,
            identity=identity,
            on_step=on_step,
            on_look=on_look,
        )
        position = loop.fit(run, saved)
        durable.write(out / "history.json", [_json(position.history)])
    network.eval()
    points, measured = measure(plan, origins, network, on_stage)
    with _writing(out):
        known = _known(plan, origins, title, points, datasets)
        state = {k: v.detach().cpu().contiguous().numpy() for k, v in network.state_dict().items()}
        weights = importing.write_trained(state, known, out / f"{title}.safetensors")
        told = {"name": title, "tensors": weights.tensors_sha256, "measured": measured, "points": points}
        durable.write(out / "figures.json", [_json(told)])
        text = card.text(weights, plan, known, points, measured, position.history)
        durable.write(out / f"{title}.md", [text.encode()])
    return Trained(weights, out / f"{title}.md", measured, points)


def measure(
    plan: Plan,
    origins: Origins,
    network: nn.Module,
    on_stage: Callable[[str], None] = lambda words: None,
    points: Points | None = None,
) -> tuple[Points, dict[str, Figures]]:
    """Choose a network's operating points where there are none yet, and measure it.

    Parameters
    ----------
    plan, origins
        What it was trained with.
    network
        In evaluation mode.
    on_stage
        Told what is measured.
    points
        Its operating points; None: choose them.

    Returns
    -------
    tuple
        Operating points by finding, and the figures by what each set of images is called.
    """
    found: dict[str, figures.Figures] = {}
    with loop.threads(plan.threads):
        if points is None and plan.kind == "classifier":
            on_stage("choosing operating points")
            examples = drawn(origins.chosen_on, plan.kind, plan.measured.images, plan.processes)
            points = figures.operating_points(network, origins.chosen_on, examples, plan.leave_out)
        for name, origin, count in origins.measured_on:
            on_stage(f"measuring on {name}")
            examples = drawn(origin, plan.kind, count, plan.processes)
            found[name] = figures.measure(plan.kind, network, origin, examples, points or {})
    return points or {}, found


def _title(plan: Plan, name: str | None, out: Path) -> str:
    if plan.phantoms is None:
        return export.check_name(out.resolve().name if name is None else name)
    if name is not None and not name.startswith(PHANTOM):
        raise ConfigError(f"a network that is trained on phantoms is called {PHANTOM}...: leave --name out")
    return name or f"{PHANTOM}{plan.kind}"


def _known(
    plan: Plan, origins: Origins, title: str, points: Points, datasets: tuple[str, ...]
) -> TrainedNetwork:
    task, phantoms = TASKS[plan.kind], plan.phantoms
    labels = task.labels(origins.train)
    drawn_from = () if phantoms is None else (f"phantoms of the anatomy {phantoms.anatomy}",)
    return TrainedNetwork.model_validate(
        {
            "name": title,
            "network": task.network,
            "input_size": plan.size,
            "licence": "NOASSERTION" if phantoms is None else "Apache-2.0",
            "training_data": datasets or drawn_from,
            "cautions": BY_ITS_USER if phantoms is None else ON_PHANTOMS,
            "labels": labels,
            "thresholds": tuple(points.get(label) for label in labels) if any(points.values()) else (),
            "calls": plan.kind != "classifier" or any(points.values()),
            "phantom": phantoms is not None,
        }
    )


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    """Say of a folder that cannot be written what helps."""
    try:
        yield
    except OSError as error:
        if error.filename and not Path(error.filename).is_relative_to(out):
            raise  # of something that was to be read
        raise ConfigError(
            f"{out} cannot be written ({error.strerror}): make room or make it writable; a run that has a "
            "checkpoint goes on with --resume"
        ) from error


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False).encode()
