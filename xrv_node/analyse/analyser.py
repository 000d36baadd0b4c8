"""Whoever turns images into analyses: one device here, or a cluster elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from xrv_node.errors import ImageError
from xrv_node.values import Analysis, ModelSet


@dataclass(frozen=True, slots=True)
class AnalysisInput:
    """One image to analyse."""

    sop_instance_uid: str
    path: Path
    """A file that ``radiograph.read.read`` takes."""


class Analyser(Protocol):
    """What the worker loop needs of an analyser."""

    @property
    def model_set(self) -> ModelSet:
        """The networks that produce the analyses."""

    def analyse(self, batch: Sequence[AnalysisInput]) -> list[Analysis | ImageError]:
        """Analyse a batch of images.

        Parameters
        ----------
        batch
            Any number of images, of any studies.

        Returns
        -------
        list
            For each image, in the order of `batch`, its analysis, or the error for which it can never have
            one.
        """
