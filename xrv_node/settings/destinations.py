"""The tables ``[[destinations]]`` and ``[[peers]]``: where results go, and which. A section a kind."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, field_validator

from xrv_node.languages import ENGLISH
from xrv_node.result_kinds import KINDS
from xrv_node.settings.http_service import HttpService
from xrv_node.settings.section import AETitle, OneIn, PathText, PeerPort, Section, kinds
from xrv_node.settings.tls import TlsClientSection
from xrv_node.values import Style

if TYPE_CHECKING:
    ResultKind = str
else:
    ResultKind = Literal[tuple(KINDS)]

REPLY_NAME = 32
"""Characters: with the peer's name and what stands between them they fit the database's 64."""


def _label(value: str) -> str:
    """A name of the classifier's, for a misspelt one would never be found."""
    table = tomllib.loads((files("dicom_config") / "findings.toml").read_text(encoding="utf-8"))
    labels = [row["label"] for row in table["finding"]]
    if value not in labels:
        raise ValueError(f"no finding has this name; accepted: {', '.join(labels)}")
    return value


Label = Annotated[str, AfterValidator(_label)]
"""A finding, as torchxrayvision calls it."""


class WhenSection(Section):
    """What a study must be like for a destination to get its results. Every key that is given must match;
    one does when any image of the study has any of its values."""

    calling_ae: tuple[AETitle, ...] = ()
    """AE titles that the images came from."""
    station: tuple[str, ...] = ()
    """Station Name (0008,1010)."""
    modality: tuple[str, ...] = ()
    """Modality (0008,0060)."""
    finding: tuple[Label, ...] = ()
    """Findings whose score reaches the operating point."""


class PeerSection(Section):
    """Where a calling AE listens itself, for replies to it."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9._-]{1,31}$",
        description="a name of letters, digits, dots, hyphens and underscores, at most 31",
    )
    ae_title: AETitle
    host: str = Field(min_length=1)
    port: PeerPort
    tls: TlsClientSection | None = None


class DestinationSection(Section):
    """What every destination can be told; each kind adds its own keys."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9._-]{1,64}$",
        description="a name of letters, digits, dots, hyphens and underscores, at most 64",
    )
    kind: str
    active: bool = True
    send: tuple[ResultKind, ...] = ("report", "sr", "seg", "sc")
    when: WhenSection = WhenSection()
    report_skipped: OneIn | None = None
    language: str = ENGLISH
    seg_geometry: Literal["nominal", "none"] = "nominal"
    seg_type: Literal["binary", "labelmap"] = "binary"
    deflate: bool = False

    @property
    def style(self) -> Style:
        """How it wants its results."""
        return Style(self.language, self.seg_geometry, self.seg_type)

    @property
    def key(self) -> str:
        """Where it stands in the configuration."""
        return f"destinations.{self.name}"


class _ArchiveSection(DestinationSection):
    """What C-STORE sends to can be asked for storage commitment."""

    commitment: bool = False
    commitment_minutes: float = Field(default=60, gt=0, le=10080)


class DimseDestination(_ArchiveSection):
    """C-STORE."""

    kind: Literal["dimse"] = "dimse"
    ae_title: AETitle
    host: str = Field(min_length=1)
    port: PeerPort
    tls: TlsClientSection | None = None


class HttpSection(DestinationSection, HttpService):
    """What is reached over HTTP."""


class WebDestination(HttpSection):
    """STOW-RS."""

    kind: Literal["web"] = "web"


class FolderDestination(DestinationSection):
    """A file an object."""

    kind: Literal["folder"] = "folder"
    path: PathText


HL7_NAME = r"^[ -~]{0,227}$"
"""Of an application or a facility (MSH-3 to MSH-6, HL7 v2.5.1)."""


class Hl7Destination(DestinationSection):
    """HL7 v2 messages of the readable report."""

    kind: Literal["hl7"] = "hl7"
    send: tuple[Literal["report"], ...] = ("report",)
    host: str = Field(min_length=1)
    port: PeerPort
    timeout_seconds: float = Field(default=30, gt=0, le=3600)
    sending_application: str = Field(default="", pattern=HL7_NAME)
    sending_facility: str = Field(default="", pattern=HL7_NAME)
    receiving_application: str = Field(default="", pattern=HL7_NAME)
    receiving_facility: str = Field(default="", pattern=HL7_NAME)
    processing_id: Literal["P", "T", "D"] = "P"
    mapping_file: PathText | None = None
    tls: TlsClientSection | None = None


Uri = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9+.-]*:[^\s|]+$")]
"""Absolute, of a system of identifiers."""


class FhirDestination(HttpSection):
    """FHIR R4 resources of the readable report."""

    kind: Literal["fhir"] = "fhir"
    send: tuple[Literal["report"], ...] = ("report",)
    patient_system: Uri | None = None
    accession_system: Uri | None = None
    find_patient: bool = False


class ReplyDestination(_ArchiveSection):
    """C-STORE to who sent the images; `replies` makes a destination of each peer of it."""

    kind: Literal["reply"] = "reply"

    @field_validator("name")
    @classmethod
    def _short(cls, name: str) -> str:
        if len(name) > REPLY_NAME:
            raise ValueError(f"the name of a reply destination has at most {REPLY_NAME} characters")
        return name


Destination = Annotated[
    DimseDestination
    | WebDestination
    | FolderDestination
    | ReplyDestination
    | Hl7Destination
    | FhirDestination,
    Field(discriminator="kind"),
]
"""The kinds of destination."""


def addresses() -> tuple[str, ...]:
    """The keys that say where destinations are: those, beside the name, that their kind cannot be without."""
    fields = (field for section in kinds(Destination).values() for field in section.model_fields.items())
    return tuple(dict.fromkeys(key for key, field in fields if field.is_required() and key != "name"))


def replies(destinations: Sequence[Destination], peers: Sequence[PeerSection]) -> tuple[Destination, ...]:
    """Put an ordinary destination for each peer in place of every ``reply`` destination.

    Results go to a calling AE's address only where a person has written that address down: a connection
    tells neither the port that the caller listens on nor, behind a translated address, the caller.

    Parameters
    ----------
    destinations, peers
        The tables as they are written.

    Returns
    -------
    tuple of Destination
        None of kind ``reply``. Of one named ``back`` and a peer named ``dx1`` it is ``back@dx1`` of kind
        ``dimse``, a name that no written destination can have.
    """
    found: list[Destination] = []
    for destination in destinations:
        if not isinstance(destination, ReplyDestination):
            found.append(destination)
            continue
        callers = destination.when.calling_ae
        for peer in peers:
            if callers and peer.ae_title not in callers:
                continue
            own = {
                "name": f"{destination.name}@{peer.name}",
                "kind": "dimse",
                "when": destination.when.model_copy(update={"calling_ae": (peer.ae_title,)}),
            }
            # Not checked again: both tables were, and a name with an @ may not be written.
            found.append(DimseDestination.model_construct(**dict(destination) | dict(peer) | own))
    return tuple(found)
