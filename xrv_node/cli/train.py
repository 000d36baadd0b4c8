"""``train``: fine-tune a classifier on public datasets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xrv_node.cli.console import ConfigOption, print_table, progress_bar, say, tell
from xrv_node.cli.datasets import UniqueOption, ViewOption
from xrv_node.cli.networks import DeviceOption, DirOption, model_directory

if TYPE_CHECKING:
    from xrv_node.lab.train.run import Trained

COLUMNS = ("stage", "epoch", "loss", "valid_loss", "auc", "best", "rate")


def train(
    datasets: Annotated[
        list[str] | None, typer.Argument(help="As `datasets list` names them; none to train on phantoms.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the run and of what comes out; needed, but for --measure.", show_default=False
        ),
    ] = None,
    images: Annotated[
        list[Path] | None, typer.Option(help="The dataset's folder; again for each dataset, in their order.")
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(
            help="TOML with the keys of a recipe, or phantom-classifier, phantom-segmenter, "
            "phantom-autoencoder; options win over it."
        ),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(help="A network of `models list`, scratch, or a file of ImageNet weights (.pth)."),
    ] = None,
    task: Annotated[str | None, typer.Option(help="multi, or one-vs-all:Pneumothorax.")] = None,
    labels: Annotated[
        str | None,
        typer.Option(help="Findings, with commas between.", show_default="all that can be learned"),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="At most so many with all layers.")] = None,
    steps: Annotated[int | None, typer.Option(help="Of a small network, which has no epochs.")] = None,
    batch: Annotated[int | None, typer.Option(help="Images of a step.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of split, new weights, order and augmentation.")] = None,
    name: Annotated[
        str | None, typer.Option(help="What the network is called.", show_default="as the folder")
    ] = None,
    view: ViewOption = None,
    unique_patients: UniqueOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
    measure: Annotated[
        Path | None,
        typer.Option(
            help="Train nothing: measure this file as the recipe says, or by name phantom-classifier, "
            "phantom-segmenter, phantom-autoencoder by its own."
        ),
    ] = None,
    device: DeviceOption = "auto",
    directory: DirOption = None,
    config: ConfigOption = None,
) -> None:
    """Fine-tune a classifier on one or more datasets; `models import` takes what comes out.

    With a recipe that has a `kind`: train a small classifier, segmenter or autoencoder from nothing.
    """
    from xrv_node.cli import train_small
    from xrv_node.errors import ConfigError
    from xrv_node.lab.datasets.load import load
    from xrv_node.lab.train import recipe as recipes
    from xrv_node.lab.train.run import train as run
    from xrv_node.lab.train.splits import PARTS

    datasets, images = datasets or [], images or []
    recipe = measure if recipe is None and train_small.is_one(measure) else recipe
    wanted = None if labels is None else tuple(label.strip() for label in labels.split(","))
    if recipe is not None and train_small.is_one(recipe):
        train_small.no_fine_tuning(init=init, task=task, epochs=epochs)
        given = {"labels": wanted, "steps": steps, "batch": batch, "seed": seed}
        data = train_small.Data(datasets, images, view)
        if measure is not None:
            train_small.measure(recipe, given, data, measure, device=device)
        else:
            train_small.train(recipe, given, data, _folder(out), name=name, device=device, resume=resume)
        return
    if not datasets:
        raise ConfigError("name a dataset to fine-tune with, or a recipe that has a kind (docs/training.md)")
    if steps is not None or measure is not None:
        raise ConfigError("--steps and --measure are for recipes that have a kind: leave them out")
    if len(images) != len(datasets):
        raise ConfigError(f"{len(datasets)} datasets and {len(images)} folders: give --images once for each")
    chosen = recipes.load(recipe, init=init, task=task, labels=wanted, epochs=epochs, batch=batch, seed=seed)
    for key, value in chosen.model_dump().items():
        tell(f"{key} = {value}")
    tables = [
        load(dataset, folder, views=view, unique_patients=unique_patients)
        for dataset, folder in zip(datasets, images, strict=True)
    ]
    for table in tables:
        for note in table.notes:
            tell(f"{table.name}: {note}")
    rows: list[dict[str, Any]] = []

    def on_epoch(row: dict[str, Any]) -> None:
        rows.append(_row(row))
        tell(" ".join(f"{key} {value}" for key, value in rows[-1].items() if value))

    with progress_bar("training") as on_step:
        done = run(
            tables,
            chosen,
            _folder(out),
            model_directory(directory, config),
            name=name,
            device=device,
            resume=resume,
            on_split=lambda parts: print_table(parts, ["finding", *PARTS]),
            on_step=on_step,
            on_epoch=on_epoch,
        )
    print_table(rows, COLUMNS)
    _conclude(done)


def _folder(out: Path | None) -> Path:
    from xrv_node.errors import ConfigError

    if out is None:
        raise ConfigError("--out is needed: the folder of the run and of what comes out")
    return out


def _row(row: dict[str, Any]) -> dict[str, Any]:
    """What is shown of an epoch."""
    cells = {key: row[key] for key in COLUMNS}
    cells |= {key: f"{row[key]:.4g}" for key in ("loss", "valid_loss", "auc", "rate") if row[key] is not None}
    return cells | {"best": "*" if row["best"] else ""}


def _conclude(done: Trained) -> None:
    """Print how good the network is where it was not trained, and how it is used."""
    rows = [
        {
            "finding": one.finding,
            "images": one.number,
            "present": one.positives,
            "AUC": one.why_not or f"{one.auc.value:.3f}",
            "from": None if one.auc.low is None else f"{one.auc.low:.3f}",
            "to": None if one.auc.high is None else f"{one.auc.high:.3f}",
        }
        for one in done.evaluation.findings
    ]
    say("", "On the test part:")
    print_table(rows, ["finding", "images", "present", "AUC", "from", "to"])
    for finding, why in done.without_point.items():
        say(f"{finding}: no operating point: {why}")
    if all(one.at_operating_point is None for one in done.evaluation.findings):
        say("No finding is told from chance: nothing is called by its scores, and a node does not run it.")
    for image, why in sorted(done.unread.items()):
        tell(f"{image}: left out: {why}")
    say(f"{done.card}: the model card")
    say(
        f"{done.weights.path}: the network. To use it:",
        f"  xrv-node models import {done.weights.path}",
        f"  xrv-node classify PATHS --weights {done.weights.name}",
    )
