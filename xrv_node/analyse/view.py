"""The view of an image from its pixels, for what the header leaves open."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from xrv_node.errors import ConfigError, ImageError
from xrv_node.models import catalog, get_model, inference, missing
from xrv_node.radiograph.prepare import prepare
from xrv_node.radiograph.read import read
from xrv_node.reasons import Reason
from xrv_node.values import Evidence, FrontalDecision, Verdict

Reader = Callable[[Path, FrontalDecision], FrontalDecision]
"""From a file and what its header told to a decision that leaves nothing open."""

_VERDICTS = {Verdict.FRONTAL: "frontal", Verdict.LATERAL: "lateral"}


def reader(name: str, directory: Path, device: str) -> Reader | None:
    """Load the view model; None where its weights are not there.

    Parameters
    ----------
    name
        Of the catalogue, ``xinario``.
    directory
        The model directory.
    device
        ``cpu``, ``cuda``, ``cuda:N``, ``mps``.

    Raises
    ------
    WeightsError
        An unknown name, or damaged weights.
    ConfigError
        The model tells something else.
    """
    entry = catalog.find(name, "attribute")
    if not set(_VERDICTS.values()) <= {label.lower() for label in entry.labels}:
        raise ConfigError(f"models.view: {name} does not tell views apart: use xinario")
    if missing([name], directory):
        return None
    model = get_model(name, directory, device)
    outputs = [label.lower() for label in model.targets]

    def decide(path: Path, told: FrontalDecision) -> FrontalDecision:
        image = torch.from_numpy(prepare(read(path), entry.input_size))[None, None]
        with inference.exact():
            logits = dict(zip(outputs, model(image.to(device))[0].tolist(), strict=True))
        return from_pixels(told, entry.name, logits["frontal"] - logits["lateral"])

    return decide


def from_pixels(told: FrontalDecision, name: str, difference: float) -> FrontalDecision:
    """Decide what a header left open.

    Parameters
    ----------
    told
        What the header said; its reasons and evidence are kept, after the new ones.
    name
        Of the model.
    difference
        The frontal less the lateral logit; its sign decides, as the model's training did.

    Raises
    ------
    ImageError
        The difference is no number: the model says nothing of this image.
    """
    if not math.isfinite(difference):
        raise ImageError(Reason("view-model-overflowed"))
    verdict = Verdict.FRONTAL if difference > 0 else Verdict.LATERAL
    word = _VERDICTS[verdict]
    details = Reason("logit-difference", model=name, difference=f"{difference:+.1f}")
    reason = Reason(f"pixels-{word}", details=details)
    evidence = Evidence("pixels", f"view model {name}, logit difference {difference:+.2f}", word)
    return replace(
        told, verdict=verdict, reasons=(reason, *told.reasons), evidence=(evidence, *told.evidence)
    )
