"""Results as DICOM objects: pure functions from a study's outcome to datasets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydicom import Dataset

from xrv_node.errors import ConfigError
from xrv_node.report.envelope import to_bytes
from xrv_node.report.kinds.gsps import build_presentations
from xrv_node.report.kinds.ko import build_keys
from xrv_node.report.kinds.pdf import build_pdf
from xrv_node.report.kinds.pm import build_maps
from xrv_node.report.kinds.report import build_report
from xrv_node.report.kinds.sc import build_captures
from xrv_node.report.kinds.seg import build_segmentations
from xrv_node.report.kinds.sr import build_regions
from xrv_node.report.kinds.sr_image import build_scores
from xrv_node.values import DEFAULT_STYLE, StudyOutcome, Style

__all__ = ["BUILDERS", "Result", "build", "to_bytes"]

BUILDERS: dict[str, Callable[[StudyOutcome, Style], list[Dataset]]] = {
    "report": build_report,
    "sr": build_regions,
    "sr-image": build_scores,
    "seg": build_segmentations,
    "sc": build_captures,
    "pm": build_maps,
    "gsps": build_presentations,
    "ko": build_keys,
    "pdf": build_pdf,
}
"""Who makes each kind of result."""


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """One object to be sent."""

    kind: str
    dataset: Dataset
    """With file meta information: ``to_bytes(dataset)`` is the file."""


def build(outcome: StudyOutcome, kinds: Sequence[str], style: Style = DEFAULT_STYLE) -> list[Result]:
    """Make a study's result objects.

    The same outcome gives the same bytes. An outcome that says the same at another ``closed_at`` gives the
    same UIDs, so that a PACS that has the object already does not show it twice; a changed one gives new
    UIDs.

    Parameters
    ----------
    outcome : StudyOutcome
        A closed study.
    kinds : sequence of str
        Keys of `BUILDERS`. ``"report"`` gives one object, ``"sr"`` one or none, ``"seg"`` one for each image
        with a structure.
    style : Style
        How they are wanted.

    Returns
    -------
    list of Result
        In the order of ``kinds``; empty for a study without images.

    Raises
    ------
    ConfigError
        If a kind is unknown, or a finding or structure has no codes.
    """
    for kind in kinds:
        if kind not in BUILDERS:
            raise ConfigError(f'result kind "{kind}" is not known: use {", ".join(BUILDERS)}')
    if not outcome.images:
        return []
    return [Result(kind, dataset) for kind in kinds for dataset in BUILDERS[kind](outcome, style)]
