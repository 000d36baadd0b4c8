"""Scores of a user's own images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import numpy as np

from xrv_node.errors import ConfigError
from xrv_node.lab.images.batches import How, Options, Provenance, through
from xrv_node.lab.images.files import Opened, Paths, Unread
from xrv_node.values import OPERATING_POINT

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from xrv_node.models.model import Attribute, Classifier

WEIGHTS = "densenet121-res224-all"


@dataclass(frozen=True, slots=True)
class Rule:
    """When a finding counts as present."""

    words: str
    present: Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.bool_]]
    """Of scores and sigmoids ``[n]``."""


@dataclass(frozen=True, slots=True)
class Classified:
    """What a network says of one image."""

    path: Path
    scores: Mapping[str, float]
    """By label, in the network's order. Of a classifier: normalised to the operating point, in [0, 1], not a
    probability. Of an attribute network: the share of each class, or the number of years."""
    sigmoids: Mapping[str, float]
    """A classifier's own outputs before the rescaling, in [0, 1]."""
    present: tuple[str, ...]
    """Labels that count as present under `rule`; none for an attribute network."""
    rule: str
    note: str
    """What to mind with this image, e.g. that its header says lateral; else empty."""
    by: Provenance


def classify(
    paths: Paths,
    weights: str = WEIGHTS,
    *,
    threshold: float | None = None,
    operating_point: str | None = None,
    thresholds: Mapping[str, float] | None = None,
    xrv_compatible: bool = False,
    run_code: bool = False,
    **options: Unpack[Options],
) -> Iterator[Classified | Unread]:
    """Score images with a classifier, or with a network that reads an attribute.

    Parameters
    ----------
    paths
        One or several PNG, JPEG or DICOM files, or folders of them.
    weights
        Name or alias of the catalogue.
    threshold
        Score in [0, 1] from which a finding counts as present; without it, `operating_point`.
    operating_point
        A name of ``RULES``; ``youden`` where the weights publish one, else a sigmoid of 0.5.
    thresholds, xrv_compatible, run_code
        As for ``models.get_model``.
    options
        ``directory``, ``device``, ``batch``, ``resampler``, ``commissioning``, ``progress``, ``max_value``
        and ``passed_over``: the fields of ``batches.How``.

    Returns
    -------
    iterator
        A ``Classified`` or ``Unread`` for each file, in order.

    Raises
    ------
    WeightsError
        An unknown name, or weights that are not there or damaged.
    ConfigError
        A network that gives no scores; a threshold, operating point, resampler, batch or device that there is
        not.
    """
    from xrv_node.models.model import Attribute, Classifier

    how = How(**options)
    model = how.load(weights, xrv_compatible=xrv_compatible, run_code=run_code, thresholds=thresholds)
    by = how.provenance(model)
    if isinstance(model, Attribute):
        return _attributes(paths, model, how, by)
    if not isinstance(model, Classifier):
        raise ConfigError(f"{model.name} ({model.entry.role}) gives no scores: name a classifier")
    return _findings(paths, model, how, by, rule(model, threshold, operating_point))


def rule(model: Classifier, threshold: float | None = None, operating_point: str | None = None) -> Rule:
    """Return when a finding counts as present.

    Parameters
    ----------
    model
        The classifier.
    threshold, operating_point
        As for `classify`; at most one of them.

    Raises
    ------
    ConfigError
        Both are given, the threshold is outside [0, 1], or the weights publish no such operating point.
    """
    if threshold is not None:
        if operating_point is not None:
            raise ConfigError("a threshold and an operating point are given: choose one of them")
        if not 0 <= threshold <= 1:
            raise ConfigError(f"a score lies in [0, 1]: {threshold:g} is no threshold")
        return Rule(f"score >= {threshold:g}", lambda scores, _: scores >= threshold)
    if operating_point is None and not model.entry.calls:
        return Rule(
            "none: no finding was told from chance", lambda scores, _: np.zeros(scores.shape, np.bool_)
        )
    if operating_point is None and model.thresholds is None:
        return Rule("sigmoid >= 0.5 (no operating point is published)", lambda _, p: p >= 0.5)
    name = operating_point or "youden"
    if name not in RULES:
        raise ConfigError(f"no operating point is called {name!r}: use one of {', '.join(RULES)}")
    return RULES[name](model)


def _youden(model: Classifier) -> Rule:
    if model.thresholds is None:
        raise ConfigError(f"{model.name} publishes no operating points: use a threshold")
    own = ", ".join(label for label, _ in model.entry.site_thresholds)
    words = "score >= 0.5, the operating point (highest sum of sensitivity and specificity)"
    if own:
        words = f"{words[:-1]}; the site's own for {own})"
    return Rule(words, lambda scores, _: scores >= OPERATING_POINT)


def _ppv80(model: Classifier) -> Rule:
    if model.ppv80_thresholds is None:
        raise ConfigError(f"{model.name} publishes no ppv80 operating points: use youden or a threshold")
    thresholds = np.array(model.ppv80_thresholds, np.float32)
    return Rule("sigmoid >= where precision first exceeded 0.8", lambda _, p: p >= thresholds)


RULES: dict[str, Callable[[Classifier], Rule]] = {"youden": _youden, "ppv80": _ppv80}
"""The published operating points, by the name that a user chooses one with."""


def _findings(
    paths: Paths, model: Classifier, how: How, by: Provenance, present: Rule
) -> Iterator[Classified | Unread]:
    def forward(x: Tensor) -> tuple[Tensor, ...]:
        logits = model.logits(x)
        return model.scores(logits), logits.sigmoid()

    def finish(image: Opened, scores: NDArray[np.float32], sigmoids: NDArray[np.float32]) -> Classified:
        called = present.present(scores, sigmoids)
        return Classified(
            image.source.path,
            dict(zip(model.pathologies, scores.tolist(), strict=True)),
            dict(zip(model.pathologies, sigmoids.tolist(), strict=True)),
            tuple(label for label, yes in zip(model.pathologies, called, strict=True) if yes),
            present.words,
            image.note,
            by,
        )

    return through(paths, model, how, forward, finish)


def _attributes(paths: Paths, model: Attribute, how: How, by: Provenance) -> Iterator[Classified | Unread]:
    def forward(x: Tensor) -> tuple[Tensor, ...]:
        outputs: Tensor = model(x)
        return (outputs if len(model.targets) == 1 else outputs.softmax(dim=1),)

    def finish(image: Opened, values: NDArray[np.float32]) -> Classified:
        shares = dict(zip(model.targets, values.tolist(), strict=True))
        return Classified(image.source.path, shares, {}, (), "", image.note, by)

    return through(paths, model, how, forward, finish)
