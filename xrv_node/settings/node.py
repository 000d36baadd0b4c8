"""The tables ``[node]``, ``[study]``, ``[frontal]``, ``[models]``, ``[database]`` and ``[log]``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from xrv_node.settings.section import OneIn, PathOrEmpty, PathText, Section


class NodeSection(Section):
    name: str = Field(default="xrv-node", min_length=1)
    data_dir: PathText = Path("data")
    languages_dir: PathOrEmpty = None
    """Of the site's own tables of words, one a language."""
    silent: bool = False


class StudySection(Section):
    quiet_seconds: float = Field(default=10.0, ge=0, le=86400)
    close_on_release: bool = False
    report_skipped: OneIn = False


class FrontalSection(Section):
    unknown: Literal["skip", "analyse"] = "skip"
    min_age_years: float = Field(default=18, ge=0, le=150)


class MeasuredSection(Section):
    """What a validation of the site found at a finding's operating point."""

    sensitivity: float = Field(ge=0, le=1)
    specificity: float = Field(ge=0, le=1)


class ModelsSection(Section):
    classifier: str = "densenet121-res224-all"
    segmenter: str = "chestx_det"
    autoencoder: str = "101-elastic"
    view: str = "xinario"
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$")
    dir: PathOrEmpty = None
    thresholds: dict[str, Annotated[float, Field(gt=0, lt=1)]] = Field(default_factory=dict)
    measured: dict[str, MeasuredSection] = Field(default_factory=dict)

    @property
    def names(self) -> tuple[str, str, str]:
        """The three chosen: classifier, segmenter, autoencoder."""
        return (self.classifier, self.segmenter, self.autoencoder)


class DatabaseSection(Section):
    url: str = Field(default="", pattern=r"^($|sqlite(\+\w+)?:|postgresql(\+\w+)?:)")


class LogSection(Section):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    level: Literal["debug", "info", "warning", "error"] = "info"
    as_json: bool = Field(default=False, alias="json")
