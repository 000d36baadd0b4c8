"""An answer of the networks as it is compared: scores, and masks over the square that they saw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from xrv_node.acceptance.alignment import Mask
from xrv_node.report.masks import source_masks
from xrv_node.values import Analysis


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a set of networks says of the phantom."""

    model_set: str
    """Digest of the set."""
    scores: Mapping[str, float]
    """By torchxrayvision's label."""
    masks: Mapping[str, Mask]
    """By structure, in the image's own pixels."""


def of(analysis: Analysis) -> Answer:
    """Take an analysis for an answer."""
    return Answer(
        analysis.model_set.digest,
        {finding.label: finding.score for finding in analysis.findings},
        dict(zip(analysis.structures, source_masks(analysis), strict=True)),
    )
