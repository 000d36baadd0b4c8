"""A store's results beside the dataset's labels: what the statistics, the report and the monitor take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrv_node.lab.baseline.header_fields import columns
from xrv_node.lab.baseline.sample import Sample
from xrv_node.lab.datasets import tools
from xrv_node.lab.datasets.table import LabelTable
from xrv_node.lab.statistics.intervals import UNDEFINED, Estimate, share
from xrv_node.lab.statistics.labelled_scores import LabelledScores, numbered
from xrv_node.lab.validate.returned_masks import OverlapFigures, ReturnedMasks, added
from xrv_node.lab.validate.run_store import ImageResult, Marked, ReturnedSegmentation, RunStore
from xrv_node.lab.validate.score_dataset import ScoredDataset
from xrv_node.lab.validate.structures import StructureFigures, figures


def labelled_scores(
    table: LabelTable,
    labels: tuple[str, ...],
    store: RunStore,
    rows: NDArray[np.int64],
    *,
    calls: bool = True,
) -> LabelledScores:
    """Put scores beside labels.

    Parameters
    ----------
    table
        The dataset.
    labels
        Names of the scores' columns.
    store
        With results of the table's rows.
    rows
        Those that count, in order; the ones without scores are left out.
    calls
        As ``LabelledScores.calls``.
    """
    shape = (len(rows), len(labels))
    scores, sigmoids = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
    answered, judged, unusual = (np.zeros(len(rows), dtype=bool) for _ in range(3))
    for result in store.results():
        at = int(np.searchsorted(rows, result.row))
        if result.scores is None or at == len(rows) or rows[at] != result.row:
            continue
        answered[at], scores[at] = True, result.scores
        if result.sigmoids is not None:
            sigmoids[at] = result.sigmoids
        judged[at], unusual[at] = result.unusual is not None, bool(result.unusual)
    chosen = tools.relabel(labels, table.take(rows[answered]))
    whole = not np.isnan(sigmoids[answered]).any()
    return LabelledScores(
        pathologies=labels,
        scores=scores[answered],
        labels=chosen.labels,
        patientid=chosen.csv["patientid"].to_numpy(dtype=str),
        sex=chosen.csv["sex"].to_numpy(dtype=str),
        age_years=chosen.csv["age_years"].to_numpy(dtype=np.float64),
        view=chosen.csv["view"].to_numpy(dtype=str),
        sigmoids=sigmoids[answered] if whole else None,
        unusual=unusual[answered] if judged[answered].any() else None,
        calls=calls,
    )


def left_out(store: RunStore, rows: NDArray[np.int64]) -> dict[str, int]:
    """Count the images without scores by the sentence that says why, the most frequent first."""
    wanted = set(rows.tolist())
    reasons = Counter(r.why_not for r in store.results() if r.why_not and r.row in wanted)
    return dict(reasons.most_common())


@dataclass(frozen=True, slots=True)
class Localisation:
    """How often a finding's heat map points at what annotators marked."""

    finding: str
    number: int
    """Images with a region of it in the square that the network sees: those that the figures are of."""
    hits: Estimate
    """Share of them on which the map's highest value lies in the region, with its interval over patients."""
    by_chance: float | None
    """Share that a blind guess would hit: the regions' mean share of the square."""
    iou: float | None
    """Mean of region and the part of the map at or over half of its maximum."""
    energy: float | None
    """Mean share of the map's sum that lies in the region."""
    empty: int = 0
    """Of those images, how many have an empty map: a miss, with an IoU and an energy of 0."""
    outside: int = 0
    """Images more, of which the region is outside of the square, or has no area: in no figure."""
    not_scored: int = 0
    """Images on which it is marked, of a finding that the network does not score: in no figure."""


def localisation(run: ScoredDataset) -> tuple[Localisation, ...]:
    """Sum up what was marked on a run's rows, finding by finding; findings without a region are left out.

    A finding that is marked and not scored is among them, without figures.
    """
    wanted, patients = set(run.rows.tolist()), numbered(run.table.csv["patientid"].to_numpy(dtype=str))
    found: dict[str, list[tuple[int, Marked]]] = {label: [] for label in run.labels}
    not_scored = Counter[str]()
    for result in run.store.results():
        if result.row not in wanted or result.why_not:
            continue
        for one in result.marked:
            if one.finding in found:
                found[one.finding].append((result.row, one))
        names = {region.name for region in run.table.regions[result.row] if not region.semantic}
        not_scored.update(names - found.keys())
    summed = [_localisation(finding, marked, patients) for finding, marked in found.items() if marked]
    nothing = [
        Localisation(finding, 0, UNDEFINED, None, None, None, not_scored=count)
        for finding, count in sorted(not_scored.items())
    ]
    return (*summed, *nothing)


def _localisation(
    finding: str, marked: Sequence[tuple[int, Marked]], patients: NDArray[np.intp]
) -> Localisation:
    judged = [(row, one.share, one.pointing) for row, one in marked if one.pointing is not None]
    outside = len(marked) - len(judged)
    if not judged:
        return Localisation(finding, 0, UNDEFINED, None, None, None, outside=outside)
    hits = np.array([p.hit for *_, p in judged])
    return Localisation(
        finding=finding,
        number=len(judged),
        hits=share(hits, patients[[row for row, *_ in judged]]),
        by_chance=float(np.mean([part for _, part, _ in judged])),
        iou=float(np.mean([p.iou for *_, p in judged])),
        energy=float(np.mean([p.energy for *_, p in judged])),
        empty=sum(p.empty for *_, p in judged),
        outside=outside,
    )


def structures(
    run: ScoredDataset, results: Iterable[ImageResult | ReturnedSegmentation]
) -> tuple[StructureFigures, ...]:
    """Sum up how well masks agree with the dataset's, structure by structure; those that no image has are
    left out.

    Parameters
    ----------
    run
        A finished run.
    results
        Of its rows; those of others are left out.
    """
    wanted, patients = set(run.rows.tolist()), numbered(run.table.csv["patientid"].to_numpy(dtype=str))
    found: dict[str, list[tuple[int, float, float]]] = {name: [] for name in run.structures}
    for result in results:
        for one in result.structures if result.row in wanted else ():
            if one.structure in found:  # masks may have been taken away since
                found[one.structure].append((result.row, one.dice, one.iou))
    summed = []
    for name, measured in found.items():
        if measured:
            rows, *agreements = map(np.array, zip(*measured, strict=True))
            here = np.unique(patients[rows], return_inverse=True)[1]
            summed.append(figures(name, np.stack(agreements, axis=1), here))
    return tuple(summed)


def masks(run: ScoredDataset, back: RunStore, rows: NDArray[np.int64]) -> ReturnedMasks:
    """Sum up the segmentations that came back.

    Parameters
    ----------
    run
        A finished run.
    back
        With what came back, of rows that the run has results of.
    rows
        Those that count.
    """
    wanted, answered = set(rows.tolist()), set(back.done(answered=True).tolist())
    came: set[int] = set()
    compared: set[int] = set()
    label_maps, not_compared = 0, Counter[str]()
    overlaps: dict[str, OverlapFigures] = {}
    greatest_dice = greatest_iou = None
    direct = run.store.results()
    for one in back.returned():
        if one.row not in wanted:
            continue
        came.add(one.row)
        if one.why_not:
            not_compared[one.why_not] += 1
            continue
        compared.add(one.row)
        label_maps += one.label_map
        for overlap in one.overlaps:
            overlaps[overlap.structure] = added(overlaps.get(overlap.structure), overlap)
        # both are in the order of the rows: neither is read twice, nor kept
        own = {a.structure: a for a in next(r for r in direct if r.row == one.row).structures}
        for agreement in one.structures:
            if beside := own.get(agreement.structure):
                greatest_dice = max(greatest_dice or 0.0, abs(agreement.dice - beside.dice))
                greatest_iou = max(greatest_iou or 0.0, abs(agreement.iou - beside.iou))
    return ReturnedMasks(
        compared=len(compared),
        missing=len(wanted & answered - came),
        not_compared=dict(not_compared.most_common()),
        label_maps=label_maps,
        overlaps=tuple(overlaps.values()),
        structures=structures(run, (one for one in back.returned() if one.row in compared)),
        direct=structures(run, (one for one in run.store.results() if one.row in compared)),
        greatest_dice=greatest_dice,
        greatest_iou=greatest_iou,
    )


def baseline(run: ScoredDataset, what: str) -> Sample | None:
    """Return what the monitor compares a node's images with, an image of each patient; None unless all three
    networks were there, and labels to give scores of.

    Parameters
    ----------
    run
        A finished run.
    what
        Names it, e.g. ``nih, validated 2026-03-01``.
    """
    if run.networks.identity is None or not run.labels:
        return None
    patients, first = numbered(run.table.csv["patientid"].to_numpy(dtype=str)), dict[int, ImageResult]()
    for result in run.store.results():
        if result.embedding is not None and result.scores is not None:
            first.setdefault(int(patients[result.row]), result)
    kept = list(first.values())
    if not kept:
        return None
    scores = np.array([r.scores for r in kept], np.float32)
    # a picture has no header, and one without fields would read as a shift
    headers = [r.header for r in kept if r.header is not None]
    numbers, words = columns(headers) if len(headers) == len(kept) else ({}, {})
    return Sample(
        what=what,
        model_set=run.networks.identity.digest,
        scores={label: scores[:, i] for i, label in enumerate(run.labels)},
        reconstruction_error=np.array([r.reconstruction_error for r in kept], np.float32),
        embedding=np.stack([r.embedding for r in kept if r.embedding is not None]),
        numbers=numbers,
        words=words,
    )
