"""From tables to a network that can be served: choose, divide, train, measure, write."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrv_node import durable
from xrv_node.errors import ConfigError, DatasetError
from xrv_node.lab.datasets import tools
from xrv_node.lab.datasets.catalog import entries, without_patients
from xrv_node.lab.datasets.table import LabelTable
from xrv_node.lab.statistics.evaluate import Evaluation, evaluate
from xrv_node.lab.train import checkpoint, export, image_batches, loop, measure, model_card, network
from xrv_node.lab.train.recipe import Recipe
from xrv_node.lab.train.splits import PARTS, Split, doubt, presence, split
from xrv_node.models.device import resolve_device
from xrv_node.models.weights import Installed
from xrv_node.product import VERSION

COLUMNS = ("stage", "epoch", "loss", "valid_loss", "auc", "best", "rate")
"""Of ``epochs.csv``; a column for each finding's AUC follows."""


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """What came out."""

    weights: Installed
    """The file for `models import`."""
    card: Path
    evaluation: Evaluation
    """On the test part, which neither the training nor the operating points have seen."""
    without_point: dict[str, str]
    """Findings that have no operating point, and why."""
    unread: dict[str, str]
    """Images that could not be read, and why."""


def train(
    tables: Sequence[LabelTable],
    recipe: Recipe,
    out: Path,
    directory: Path,
    *,
    name: str | None = None,
    device: str = "auto",
    resume: bool = False,
    on_split: Callable[[list[dict[str, str]]], None] = lambda rows: None,
    on_step: loop.Progress = lambda done, total: None,
    on_epoch: Callable[[dict[str, Any]], None] = lambda row: None,
) -> Trained:
    """Fine-tune a classifier.

    Parameters
    ----------
    tables
        At least one; several are merged, labels that one lacks are unknown there.
    recipe
        How.
    out
        Folder of the run: checkpoint, ``epochs.csv``, ``split.csv``, ``run.json``, ``figures.json``, the
        network and its card.
    directory
        The model directory, for ``recipe.init``.
    name
        What the network is called; None: as the folder.
    device
        ``cpu``, ``cuda``, ``cuda:N``, ``mps`` or ``auto``.
    resume
        Go on with the folder's checkpoint.
    on_split
        Told how many images of each part have each finding (``splits.presence``), before anything is trained.
    on_step, on_epoch
        Told how it goes.

    Raises
    ------
    ConfigError
        The folder cannot be written, holds a run and `resume` is not given, or one of another recipe, other
        tables or other weights; a name, device or ``init`` that cannot be; a loss that is no longer a number.
    DatasetError
        Labels that there are not, that are no yes or no, that training or validation has of one kind only, or
        too few patients.
    WeightsError
        The weights to begin with are missing or damaged.
    """
    title = export.check_name(out.resolve().name if name is None else name)
    place = resolve_device(device)
    saved_at = out / checkpoint.FILE
    if saved_at.exists() and not resume:
        raise ConfigError(f"{out} holds a run: add --resume to go on with it, or name another folder")
    saved = checkpoint.load(saved_at) if resume else None
    table = _joined(tables, recipe)
    parts = split(table, recipe.valid_share, recipe.test_share, recipe.seed)
    table = _labelled(table, parts, recipe)
    on_split(presence(table, parts))
    start = network.start(recipe, table.pathologies, directory)
    told = {"images or labels": _digest(table, parts), "initial weights": start.words}
    identity = recipe.model_dump(mode="json") | told
    if saved is not None and (others := _others(saved.identity, identity)):
        raise ConfigError(
            f"the run in {out} was begun with other {', '.join(others)}: go on with the same, or begin "
            "another run in another folder"
        )

    def row_done(row: dict[str, Any]) -> None:
        rows.append(row)
        durable.write(out / "epochs.csv", [_epochs(rows, table.pathologies)])
        on_epoch(row)

    rows: list[dict[str, Any]] = [] if saved is None else list(saved.position.history)
    with _writing(out):
        durable.write(out / "split.csv", [_split(table, parts)])
        durable.write(out / "run.json", [_json(identity | {"xrv_node": VERSION, "name": title})])
        run = loop.Run(
            recipe=recipe,
            table=table,
            split=parts,
            start=start,
            device=place,
            out=out,
            identity=identity,
            on_step=on_step,
            on_epoch=row_done,
        )
        position, best = loop.fit(run, saved)

        start.network.load_state_dict(best)
        images, unread = image_batches.plain(table, start.size), position.unread
        chosen_on = measure.answers(start.network, images, parts.valid, recipe.batch, unread)
        points = measure.operating_points(chosen_on)
        without_point = measure.without_point(table.pathologies, points, measure.areas(chosen_on))
        measured_on = measure.answers(start.network, images, parts.test, recipe.batch, unread)
        figures = evaluate(measure.labelled_scores(table, measured_on, points), seed=recipe.seed)
        unpublished = without_patients(one.name for one in tables)
        if unpublished:
            figures = replace(figures, patients=None)
        titles = tuple(e.title for e in entries() if e.name in {one.name for one in tables})
        weights = export.write(
            name=title,
            start=start,
            best=best,
            labels=table.pathologies,
            points=points,
            datasets=titles,
            doubt=doubt(unpublished),
            out=out,
        )
        durable.write(out / "figures.json", [_json(asdict(figures))])
        text = model_card.text(
            weights=weights,
            recipe=recipe,
            start=start,
            tables=tables,
            table=table,
            parts=parts,
            points=points,
            without_point=without_point,
            figures=figures,
            history=position.history,
            unread=len(unread),
        )
        durable.write(out / f"{title}.md", [text.encode()])
    return Trained(weights, out / f"{title}.md", figures, without_point, unread)


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    """Say of a folder that cannot be written what helps. All that is read here has errors of its own."""
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"{out} cannot be written ({error.strerror}): make room or make it writable; a run that has a "
            "checkpoint goes on with --resume"
        ) from error


def _joined(tables: Sequence[LabelTable], recipe: Recipe) -> LabelTable:
    """One table with every label of all, of the rows that say anything of what is trained."""
    wanted = (recipe.finding,) if recipe.finding else recipe.labels
    there = tuple(dict.fromkeys(label for table in tables for label in table.pathologies))
    if unknown := [label for label in wanted if label not in there]:
        raise DatasetError(
            f"{', '.join(table.name for table in tables)} knows nothing of {', '.join(unknown)}; its labels "
            f"are {', '.join(there)}"
        )
    aligned = [tools.relabel(wanted or there, table) for table in tables]
    table = tools.merge(aligned) if len(aligned) > 1 else aligned[0]
    if not np.isin(table.labels[~np.isnan(table.labels)], (0, 1)).all():
        raise DatasetError(f"{table.name} has labels that are neither 0 nor 1: they cannot be trained here")
    return table.take(np.flatnonzero((~np.isnan(table.labels)).any(axis=1)))


def _labelled(table: LabelTable, parts: Split, recipe: Recipe) -> LabelTable:
    """The table with the labels that can be learned, which the validation part must be able to judge."""
    possible = _both(table, parts.train)
    if not recipe.finding and not recipe.labels:
        table = tools.relabel(possible, table)
        if not _both(table, parts.valid):
            raise DatasetError(
                f"no finding is both present and absent in the {len(parts.valid)} validation images: take "
                "more images, or a larger valid_share"
            )
        return table
    for part, rows, there in (
        ("training", parts.train, possible),
        ("validation", parts.valid, _both(table, parts.valid)),
    ):
        if missing := [label for label in table.pathologies if label not in there]:
            raise DatasetError(
                f"{', '.join(missing)} is not both present and absent in the {len(rows)} {part} images: take "
                "more images, another seed, or other labels"
            )
    return table


def _both(table: LabelTable, rows: NDArray[np.intp]) -> list[str]:
    """The findings that some of the rows have and some have not."""
    absent, present = ((table.labels[rows] == value).any(axis=0) for value in (0, 1))
    return [label for label, yes in zip(table.pathologies, absent & present, strict=True) if yes]


def _others(saved: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """What two runs do not have in common, by name."""
    return sorted(key for key in saved | wanted if saved.get(key) != wanted.get(key))


def _digest(table: LabelTable, parts: Split) -> str:
    """Hex SHA-256 over what is trained on: images, labels and their parts."""
    digest = hashlib.sha256(json.dumps([table.pathologies, table.csv["image"].tolist()]).encode())
    for array in (table.labels, parts.train, parts.valid, parts.test):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str).encode()


def _epochs(rows: Sequence[dict[str, Any]], labels: Sequence[str]) -> bytes:
    """The table of all epochs as CSV."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*COLUMNS, *labels])
    for row in rows:
        writer.writerow([*(row[column] for column in COLUMNS), *(row["aucs"][label] for label in labels)])
    return text.getvalue().encode()


def _split(table: LabelTable, parts: Split) -> bytes:
    """Which image is in which part, as CSV."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["image", "part"])
    for part in PARTS:
        rows = table.csv["image"].iloc[getattr(parts, part)]
        writer.writerows((image, part) for image in rows)
    return text.getvalue().encode()
