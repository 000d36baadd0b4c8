"""The tables ``[node]``, ``[study]``, ``[frontal]``, ``[models]``, ``[database]`` and ``[log]``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from xrv_node.settings.section import OneIn, PathOrEmpty, PathText, Section

SEX_NETWORK, AGE_NETWORK = "mira", "riken"
"""Of the catalogue: there is one for each."""


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


class MismatchSection(Section):
    """How far a picture may be from what its header says of the patient; 0: not looked at."""

    sex: float = Field(default=0, ge=0)
    """Difference of the two logits, on the side of the other sex."""
    age: float = Field(default=0, ge=0)
    """Years."""
    view: float = Field(default=0, ge=0)
    """As `sex`, on the side of a lateral view."""
    run_code: bool = False

    @model_validator(mode="after")
    def _a_program_is_trusted(self) -> MismatchSection:
        if self.age and not self.run_code:
            raise ValueError(
                f"age asks {AGE_NETWORK}, a TorchScript program, and using it runs code from its file: if "
                "you trust where the file comes from, allow it with run_code = true"
            )
        return self


class ShadowSection(Section):
    """A second classifier, whose answers go nowhere."""

    classifier: str = ""
    """Of the catalogue; empty: there is none."""


class ModelsSection(Section):
    classifier: str = "densenet121-res224-all"
    segmenter: str = "chestx_det"
    autoencoder: str = "101-elastic"
    view: str = "xinario"
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$",
        description="auto, cpu, cuda, cuda:1 or mps",
    )
    dir: PathOrEmpty = None
    thresholds: dict[str, Annotated[float, Field(gt=0, lt=1)]] = Field(default_factory=dict)
    measured: dict[str, MeasuredSection] = Field(default_factory=dict)
    mismatch: MismatchSection = MismatchSection()
    shadow: ShadowSection = ShadowSection()

    @property
    def names(self) -> tuple[str, str, str]:
        """The three chosen: classifier, segmenter, autoencoder."""
        return (self.classifier, self.segmenter, self.autoencoder)

    @property
    def attributes(self) -> dict[str, str]:
        """The network that is asked for each attribute of a header."""
        return {"sex": SEX_NETWORK, "age": AGE_NETWORK, "view": self.view}

    @property
    def limits(self) -> dict[str, float]:
        """By attribute, how far its network may be off; those that are not looked at are left out."""
        limits = {name: float(getattr(self.mismatch, name)) for name in self.attributes}
        return {name: limit for name, limit in limits.items() if limit}

    @property
    def needed(self) -> tuple[str, ...]:
        """The three, and whatever else a node does not start without."""
        shadow = [self.shadow.classifier] if self.shadow.classifier else []
        return (*self.names, *(self.attributes[name] for name in self.limits), *shadow)


class DatabaseSection(Section):
    url: str = Field(
        default="",
        pattern=r"^($|sqlite(\+\w+)?:|postgresql(\+\w+)?:)",
        description="nothing, or an address that begins with sqlite: or postgresql",
    )


class LogSection(Section):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    level: Literal["debug", "info", "warning", "error"] = "info"
    as_json: bool = Field(default=False, alias="json")
