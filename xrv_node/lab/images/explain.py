"""Heat maps of a user's own images."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import numpy as np

from xrv_node.errors import ConfigError
from xrv_node.lab.images import drawing
from xrv_node.lab.images.batches import How, Options, Provenance, through
from xrv_node.lab.images.classify import WEIGHTS
from xrv_node.lab.images.files import Opened, Paths, Source, Unread
from xrv_node.radiograph.display import display
from xrv_node.radiograph.image import Radiograph
from xrv_node.radiograph.prepare import frame
from xrv_node.report.certainty import of_hundred
from xrv_node.report.lettering import GREY, RED, WHITE, YELLOW, Color
from xrv_node.values import OPERATING_POINT, PHANTOM_WORDS, Frame

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from xrv_node.models.model import Classifier

METHOD = "gradcam"
_BRIGHTEST = 99.5
"""Percentile of a signed map at which the hottest colour is reached: a few pixels stand out far above all."""


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """Heat maps of one image."""

    source: Source
    radiograph: Radiograph
    frame: Frame
    """The square over which the maps lie."""
    findings: tuple[str, ...]
    scores: tuple[float, ...]
    """As the classifier gives them, in [0, 1]."""
    calibrated: bool
    """Whether a score of 0.5 is an operating point."""
    maps: NDArray[np.float32]
    """``[len(findings), n, n]`` over the square; n is the feature map's side for Grad-CAM, else the input's.
    At least 0, except guided ones."""
    method: str
    """A name of ``attribution.METHODS``."""
    note: str
    by: Provenance

    @property
    def path(self) -> Path:
        """The image."""
        return self.source.path


def explain(
    paths: Paths,
    findings: Sequence[str] = (),
    weights: str = WEIGHTS,
    *,
    method: str = METHOD,
    thresholds: Mapping[str, float] | None = None,
    xrv_compatible: bool = False,
    **options: Unpack[Options],
) -> Iterator[Explained | Unread]:
    """Say where in an image the scores of findings come from.

    Parameters
    ----------
    paths, weights, thresholds, xrv_compatible, options
        As for ``classify.classify``.
    findings
        Labels of the classifier, in any case. None: those whose score reaches 0.5 in the image, or, where
        none does, the one with the highest.
    method
        A name of ``attribution.METHODS``.

    Returns
    -------
    iterator
        An ``Explained`` or ``Unread`` for each file, in order.

    Raises
    ------
    WeightsError
        As `classify`.
    ConfigError
        As `classify`; a finding that the classifier was not trained on, whose map would be empty; a method
        that there is not; an ensemble, which has no one feature map.
    """
    from xrv_node.analyse.attribution import METHODS
    from xrv_node.models.model import Classifier

    if method not in METHODS:
        raise ConfigError(f"no method is called {method!r}: use one of {', '.join(METHODS)}")
    options.setdefault("batch", 1)
    how = How(**options)
    model = how.load(weights, xrv_compatible=xrv_compatible, thresholds=thresholds)
    if not isinstance(model, Classifier):
        raise ConfigError(f"{model.name} ({model.entry.role}) finds nothing: name a classifier")
    if model.map_module is None and method != "gradient":
        raise ConfigError(f"{model.name} is several networks and has no one map: use --method gradient")
    heads = [_head(model, finding) for finding in findings]
    return _explained(paths, model, how, how.provenance(model), heads, method)


def _head(model: Classifier, finding: str) -> int:
    known = [label.lower() for label in model.pathologies]
    if finding.lower() not in known:
        there = ", ".join(model.pathologies)
        raise ConfigError(f"{model.name} was not trained on {finding!r}: use one of {there}")
    return known.index(finding.lower())


def _explained(
    paths: Paths, model: Classifier, how: How, by: Provenance, heads: Sequence[int], method: str
) -> Iterator[Explained | Unread]:
    import torch

    from xrv_node.analyse.attribution import METHODS

    def forward(x: Tensor) -> tuple[Tensor, ...]:
        scores = model(x)
        reached = (scores >= OPERATING_POINT) & model.entry.calls
        wanted = torch.zeros_like(reached)
        if heads:
            wanted[:, heads] = True
        else:
            wanted = reached.where(
                reached.any(dim=1, keepdim=True), scores == scores.amax(dim=1, keepdim=True)
            )
        asked = [head for head, any_ in enumerate(wanted.any(dim=0).tolist()) if any_]
        maps = METHODS[method].maps(model, x, asked)
        whole = maps.new_zeros(len(x), len(model.pathologies), *maps.shape[2:])
        whole[:, asked] = maps
        return scores, wanted, whole

    def finish(
        image: Opened, scores: NDArray[np.float32], wanted: NDArray[np.bool_], maps: NDArray[np.float32]
    ) -> Explained:
        chosen = heads or [int(head) for head in np.flatnonzero(wanted)]
        return Explained(
            source=image.source,
            radiograph=image.radiograph,
            frame=frame(image.radiograph.rows, image.radiograph.columns, image.radiograph.aspect),
            findings=tuple(model.pathologies[head] for head in chosen),
            scores=tuple(float(scores[head]) for head in chosen),
            calibrated=model.thresholds is not None,
            maps=maps[list(chosen)],
            method=method,
            note=image.note,
            by=by,
        )

    return through(paths, model, how, forward, finish)


def write(explained: Explained, out: Path | str) -> list[Path]:
    """Write the maps of an image: a picture for each finding and the numbers of all.

    Parameters
    ----------
    explained
        As `explain` yields it.
    out
        A folder; the files go into one of the image's name inside it.

    Returns
    -------
    list of Path
        ``<finding>-<method>.png``, and ``<method>.npz`` with ``findings``, ``scores``, ``maps``, ``frame``
        (rows, columns, top, left, side in source pixels, and where they are not square the width of the
        square) and what made them. It holds no pickles.

    Raises
    ------
    XrvNodeError
        A file cannot be written.
    """
    folder = Path(out) / explained.source.name
    pixels = display(explained.radiograph)
    paths = []
    for row, finding in enumerate(explained.findings):
        paths.append(folder / f"{finding.replace(' ', '_')}-{explained.method}.png")
        drawing.save(paths[-1], _picture(explained, row, pixels))
    square, by = explained.frame, explained.by
    extent = square.extent if square.width else (square.side,)
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        findings=np.array(explained.findings),
        scores=np.array(explained.scores, np.float32),
        maps=explained.maps,
        frame=np.array([square.rows, square.columns, square.top, square.left, *extent]),
        method=np.array(explained.method),
        model=np.array(by.model.name),
        sha256=np.array(by.model.sha256),
        resampler=np.array(by.resampler),
        notice=np.array(by.notice),
    )
    paths.append(folder / f"{explained.method}.npz")
    drawing.write_bytes(paths[-1], buffer.getvalue())
    return paths


def _picture(explained: Explained, row: int, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    from xrv_node.analyse.attribution import METHODS
    from xrv_node.analyse.heatmap import smooth

    method, by = METHODS[explained.method], explained.by
    size = np.abs(explained.maps[row])
    heat = size if method.signed else smooth(size, max(len(size), drawing.LOWEST))
    highest = float(np.percentile(heat, _BRIGHTEST) if method.signed else heat.max())
    point = " (operating point 50)" if explained.calibrated else ""
    lines: list[tuple[str, Color]] = [(PHANTOM_WORDS, RED), ("", RED)] if by.phantom else []
    lines += [
        (explained.findings[row].replace("_", " "), YELLOW),
        (f"score {of_hundred(explained.scores[row])}{point}", WHITE),
        ("", WHITE),
        (method.words, WHITE),
        (by.model.name, GREY),
        (by.resampler, GREY),
        ("Where the score comes from, not where a lesion is", GREY),
    ]
    if highest <= 0:
        lines.append(("The map is zero everywhere", WHITE))
    return drawing.heat_picture(pixels, heat, explained.frame, drawing.Legend(lines, highest), by.phantom)
