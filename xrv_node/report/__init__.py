"""Results as DICOM objects: pure functions from a study's outcome to datasets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from pydicom import Dataset

from xrv_node.errors import ConfigError
from xrv_node.report.envelope import to_bytes
from xrv_node.result_kinds import KINDS
from xrv_node.values import DEFAULT_STYLE, StudyOutcome, Style

__all__ = ["Result", "build", "to_bytes"]

Builder = Callable[[StudyOutcome, Style], list[Dataset]]


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
        Keys of `KINDS`. ``"report"`` gives one object, ``"sr"`` one or none, ``"seg"`` one for each image
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
        if kind not in KINDS:
            raise ConfigError(f'result kind "{kind}" is not known: use {", ".join(KINDS)}')
    if not outcome.images:
        return []
    return [Result(kind, dataset) for kind in kinds for dataset in _builder(kind)(outcome, style)]


def _builder(kind: str) -> Builder:
    """The one that `report.kinds` has under the kind's name."""
    return cast("Builder", import_module(f"{__name__}.kinds.{kind.replace('-', '_')}").build)
