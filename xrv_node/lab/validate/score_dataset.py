"""A validation run: a dataset's images through the networks into a store, and what is made of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xrv_node.analyse import gate
from xrv_node.errors import DatasetError, XrvNodeError
from xrv_node.lab.baseline.sample import MOST
from xrv_node.lab.datasets import load as datasets
from xrv_node.lab.datasets.table import LabelTable
from xrv_node.lab.statistics.overlap import Mask
from xrv_node.lab.validate import networks as direct
from xrv_node.lab.validate import structures
from xrv_node.lab.validate.read_images import PreparedBatch, PreparedImage, PreparedImages, batches, begin
from xrv_node.lab.validate.run_store import ImageResult, RunStore
from xrv_node.models import Networks
from xrv_node.models.inference import OVERFLOW
from xrv_node.models.model import Segmenter
from xrv_node.product import VERSION
from xrv_node.radiograph import resample
from xrv_node.radiograph.prepare import DEFAULT

Progress = Callable[[int, int], None]
"""Called with how many images are done, and of how many."""

SEED = 0
"""Of the order in which a limit takes images: the first N of the same shuffle, so that a larger limit goes on
from a smaller one, and neither takes the first patients only."""

CHOICE = "choice of images (--part, --view, --all-images) or set of label files"
"""In the words of whoever is refused for it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to validate, and how."""

    dataset: str
    """As in the catalogue of datasets."""
    images: Path
    """The folder with the owner's files."""
    classifier: str
    segmenter: str = "chestx_det"
    """With `autoencoder` it is whose baseline the run gives; it runs where `segment` says so."""
    autoencoder: str = "101-elastic"
    part: str | None = None
    views: tuple[str, ...] | None = None
    unique_patients: bool | None = None
    xrv_compatible: bool = False
    limit: int | None = None
    """Images, chosen by `SEED`; None: all."""
    resampler: str = DEFAULT
    batch: int = 16
    workers: int = 2
    """Processes that read and prepare images; 0: none."""
    device: str = "auto"
    localise: bool = False
    """Compare heat maps with what annotators marked."""
    segment: bool = False
    """Compare the segmenter's masks with the dataset's."""
    commissioning: bool = False
    run_code: bool = False
    thresholds: tuple[tuple[str, float], ...] = ()
    """A site's own operating points of the classifier, on the sigmoid's scale."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoredDataset:
    """A finished run."""

    table: LabelTable
    """All rows of the dataset that were asked for; its pathologies are `labels`."""
    labels: tuple[str, ...]
    """What both the classifier and the dataset know, in the classifier's order; may be none where masks are
    compared."""
    unknown: tuple[str, ...]
    """The dataset's labels that the classifier was not trained on, or that are no yes and no."""
    rows: NDArray[np.int64]
    """Of the table: those that were to be scored, all or as many as the limit said."""
    store: RunStore
    networks: Networks
    limits: gate.Limits | None
    """Of the gate, where a site has fitted it for these networks and this resampler."""
    structures: tuple[str, ...] = ()
    """Of which masks are compared."""


def score(
    plan: Plan,
    directory: Path,
    out: Path,
    progress: Progress = lambda _done, _of: None,
    *,
    without_masks: bool = False,
) -> ScoredDataset:
    """Score a dataset's images; what an earlier run into the same folder has scored is not scored again.

    Parameters
    ----------
    plan
        What, and how.
    directory
        The model directory.
    out
        For ``scores.sqlite``; made when it is not there.
    progress
        Told after each batch.
    without_masks
        Whether the segmenter may run on a dataset without masks, because a node's are compared with its own.

    Raises
    ------
    DatasetError
        The dataset cannot be read, shares no label with the classifier, or no structure with the segmenter
        that is to be compared. Where structures are compared, a common label is not needed.
    WeightsError, ConfigError
        As ``networks.load``.
    XrvNodeError
        `out` is of another run; the device or a reading process ran out of memory; no image could be read.
    """
    if plan.workers:
        begin()
    table = datasets.load(
        plan.dataset,
        plan.images,
        part=plan.part,
        views=plan.views,
        unique_patients=plan.unique_patients,
        xrv_compatible=plan.xrv_compatible,
    )
    if plan.localise and not any(not region.semantic for regions in table.regions for region in regions):
        raise DatasetError(
            f"{table.name} has no marked regions of findings in {plan.images}: add the owner's file of them "
            "(`xrv-node datasets list` names it), or leave --localise out"
        )
    words = resample.find(plan.resampler).words
    networks = direct.load(
        (plan.classifier, plan.segmenter, plan.autoencoder),
        directory,
        plan.device,
        commissioning=plan.commissioning,
        run_code=plan.run_code,
        thresholds=dict(plan.thresholds),
        segment=plan.segment,
    )
    limits = gate.load(directory, networks.identity, words) if networks.identity else None
    outlines: tuple[str, ...] = ()
    if networks.segmenter and not (without_masks and not structures.outlined(table)):
        outlines = structures.common(table, networks.segmenter.targets)
    labels, unknown = shared_labels(table, networks.classifier.pathologies)
    if not labels and not outlines:
        masks = ", compare its masks with --segment" if structures.outlined(table) else ""
        raise DatasetError(
            f"the network scores none of the labels of {table.name} ({', '.join(table.pathologies)}): choose "
            f"another dataset or --weights{masks}"
        )
    rows = np.sort(np.random.default_rng(SEED).permutation(len(table))[: plan.limit]).astype(np.int64)
    store = RunStore(out / "scores.sqlite", identity(plan, table, networks))
    found = ScoredDataset(
        table=table,
        labels=labels,
        unknown=unknown,
        rows=rows,
        store=store,
        networks=networks,
        limits=limits,
        structures=outlines,
    )
    try:
        _score(plan, found, progress)
    except BaseException:
        store.close()
        raise
    return found


def shared_labels(table: LabelTable, pathologies: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the labels that can be validated, in the order of `pathologies`, and the table's others."""
    binary = {
        name
        for name, column in zip(table.pathologies, table.labels.T, strict=True)
        if np.isin(column[~np.isnan(column)], (0, 1)).all()
    }
    labels = tuple(name for name in pathologies if name in binary)
    return labels, tuple(name for name in table.pathologies if name not in labels)


def identity(plan: Plan, table: LabelTable, networks: Networks) -> dict[str, str]:
    """Return what a store's results must agree on to belong together."""
    digest = hashlib.sha256(np.ascontiguousarray(table.labels).tobytes())
    # not the folders: where an image lies is known only once it is there, and it may be put there later
    names = table.csv["image"].str.rpartition("/")[2]
    digest.update("\n".join(names + " " + table.csv["patientid"] + " " + table.csv["view"]).encode())
    return {
        "dataset": table.name,
        CHOICE: digest.hexdigest(),
        "set of networks": "; ".join(networks.names),
        "operating point": "; ".join(f"{label} {at:g}" for label, at in plan.thresholds) or "published",
        "resampler": plan.resampler,
        "choice of --localise": str(plan.localise),
        "choice of --segment": str(plan.segment),
        "version of xrv-node": VERSION,
    }


def _score(plan: Plan, run: ScoredDataset, progress: Progress) -> None:
    done = np.isin(run.rows, run.store.done())
    segmenter = run.networks.segmenter
    images = PreparedImages(
        run.table,
        run.rows[~done],
        run.networks.sizes,
        plan.resampler,
        with_regions=plan.localise,
        with_structures=segmenter is not None,
        phantoms=plan.commissioning,
    )
    columns = [run.networks.classifier.pathologies.index(label) for label in run.labels]
    # of more, a baseline gets no better and the file no smaller
    based = set(np.random.default_rng(SEED).permutation(run.rows)[:MOST].tolist())
    count, good = int(done.sum()), int(done.sum())
    progress(count, len(run.rows))
    try:
        for batch in batches(images, plan.batch, plan.workers):
            results = _results(run, batch, columns, based)
            run.store.add(results)
            count += len(results)
            good += sum(not result.why_not for result in results)
            progress(count, len(run.rows))
    except BrokenProcessPool as error:
        raise XrvNodeError(
            "a reading process was ended from outside, mostly for want of memory: use fewer --workers or a "
            "smaller --batch; what is scored is kept"
        ) from error
    if not good:
        why = next((result.why_not for result in run.store.results()), "the dataset has no rows")
        raise DatasetError(f"none of {len(run.rows)} images below {plan.images} could be scored: {why}")


def _results(
    run: ScoredDataset, batch: PreparedBatch, columns: list[int], based: set[int]
) -> list[ImageResult]:
    results = [ImageResult(item.row, item.why_not) for item in batch.bad]
    if not batch.good:
        return results
    networks = run.networks
    said, inputs = direct.forward(networks, batch.inputs), batch.inputs[networks.classifier.size]
    masks = _masks(networks.segmenter, batch)
    for i, item in enumerate(batch.good):
        found = masks.get(i, {})
        if not said.finite[i] or found is None:
            results.append(ImageResult(item.row, str(OVERFLOW)))
            continue
        kept = item.row in based
        results.append(
            ImageResult(
                item.row,
                scores=said.scores[i, columns],
                sigmoids=said.sigmoids[i, columns],
                reconstruction_error=None if said.errors is None else float(said.errors[i]),
                unusual=direct.unusual(run.limits, said, i),
                embedding=said.embeddings[i] if kept and said.embeddings is not None else None,
                header=item.header if kept else None,
                marked=direct.localised(networks, inputs[i], item.regions) if item.regions else (),
                structures=_agreements(found, item),
            )
        )
    return results


def _agreements(found: dict[str, Mask], item: PreparedImage) -> tuple[structures.Agreement, ...]:
    """The segmenter's masks beside the dataset's, both in the image's own pixels: as the node sends them."""
    if item.square is None or not item.structures:
        return ()
    truth = item.drawn
    return structures.compare(structures.placed(found, item.square, truth), truth)


def _masks(segmenter: Segmenter | None, batch: PreparedBatch) -> dict[int, dict[str, Mask] | None]:
    """The segmenter's masks of the images that there are others of, by position; None where it overflowed."""
    outlined = [i for i, item in enumerate(batch.good) if item.structures]
    if segmenter is None or not outlined:
        return {}
    inputs = batch.inputs[segmenter.size][outlined]
    return dict(zip(outlined, direct.segmented(segmenter, inputs), strict=True))
