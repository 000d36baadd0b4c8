"""What the command line shows of the record, and prints as JSON: the fields of each thing.

``docs/json.md`` is made of these.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from typing_extensions import TypedDict

from xrv_node.reasons import Reason


class EventRow(TypedDict):
    """An event of the audit trail."""

    id: int
    """Its number: 1, 2, 3 ... without a gap."""
    at: str
    """When it happened, a time."""
    event: str
    """What happened, e.g. ``instance.received``."""
    study: str | None
    """Study Instance UID."""
    instance: str | None
    """SOP Instance UID."""
    detail: dict[str, Any]
    """What else there is to it; each event has fields of its own."""
    hash: str
    """SHA-256 over it and the hash of the event before."""


class TimelineRow(TypedDict):
    """An event of a study's story."""

    at: str
    """When it happened, a time."""
    event: str
    """What happened, e.g. ``instance.received``."""
    says: str
    """The same in words."""
    instance: str | None
    """SOP Instance UID."""
    by: str | None
    """The person who asked for it."""
    detail: dict[str, Any]
    """What else there is to it; each event has fields of its own."""


class JobRow(TypedDict):
    """A job."""

    id: int
    """Its number."""
    kind: str
    """``analyse`` an image, ``report`` a study or ``deliver`` a result."""
    state: str
    """``queued``, ``running``, ``done``, ``parked`` or ``cancelled``."""
    priority: int
    """Its study's; a higher one goes first."""
    attempts: int
    """How often it was tried."""
    study: str
    """Study Instance UID."""
    instance: str | None
    """SOP Instance UID of the image or the result that it is about; null: of the study."""
    result: str | None
    """The kind of that result."""
    destination: str | None
    """Where it is sent."""
    error: Reason | None
    """Why the last attempt failed."""
    not_before: datetime
    """Of one that is queued: when it is tried next at the earliest."""
    created_at: datetime
    """When it was queued for the first time."""
    updated_at: datetime
    """When it came into its state."""


class JobHistory(JobRow):
    """A job, and all that happened to it."""

    events: list[EventRow]
    """Its events of the trail, in order."""


class StudyProgress(TypedDict):
    """How far a study is."""

    study: str
    """Study Instance UID."""
    state: str
    """``open``, ``closed``, ``reported`` or ``failed``."""
    revision: int
    """How often it was closed."""
    priority: int
    """The highest level of a rule ``[[priority]]`` that one of its images meets; 0: of none."""
    received_at: datetime
    """When the newest object came."""
    closed_at: datetime | None
    """When it was complete for the last time."""
    reported_at: datetime | None
    """When its newest report was made."""


class StudyRow(StudyProgress):
    """A study of a list."""

    senders: list[str]
    """AE titles that its images came from."""
    verdicts: dict[str, int]
    """How many images were taken for what."""
    instances: dict[str, int]
    """How many images there are, by state: ``queued``, ``analysed``, ``skipped``, ``failed``."""
    deliveries: dict[str, int]
    """How many results went where they should, by state: ``waiting``, ``delivered``, ``warning``,
    ``confirmed``, ``rejected``, ``parked``."""


class AnalysisOf(TypedDict):
    """What networks said of an image."""

    models: dict[str, str]
    """Name by role."""
    phantom: bool
    """Whether networks for phantoms made it: it is no patient's."""
    scores: dict[str, float]
    """By finding: 0.5 is its operating point."""
    reconstruction_error: float
    """Of the autoencoder: how unlike a radiograph it is."""


class InstanceRow(TypedDict):
    """An object that came."""

    instance: str
    """SOP Instance UID."""
    state: str
    """``queued``, ``analysed``, ``skipped`` or ``failed``."""
    verdict: str
    """What it was taken for."""
    view: str | None
    """``PA`` or ``AP``."""
    reasons: tuple[Reason, ...]
    """Why."""
    evidence: list[Any]
    """Of which attributes: each with ``attribute``, ``value`` and what it speaks for."""
    error: Reason | None
    """Why its analysis failed."""
    calling_ae: str
    """AE title that it came from."""
    received_at: datetime
    """When it came."""
    size: int
    """Bytes of its data set."""
    sha256: str
    """Of these bytes."""
    path: str
    """Below ``node.data_dir``."""
    purged_at: datetime | None
    """When its file was removed."""
    analyses: list[AnalysisOf]
    """By each set of models that it was analysed with."""


class DeliveryRow(TypedDict):
    """A result on its way to a destination."""

    destination: str
    """Its name."""
    state: str
    """``waiting``, ``delivered``, ``warning``, ``confirmed``, ``rejected``, ``parked`` or ``silent``: made
    while nothing was to leave for it."""
    status: str | None
    """The peer's last DIMSE status, e.g. ``0x0000``."""
    error: Reason | None
    """Why it is not there, or the peer's remark; while it waits for one that is away, why."""


class MadeRow(TypedDict):
    """A result that was made."""

    kind: str
    """``report``, ``sr``, ``seg`` ..."""
    instance: str
    """SOP Instance UID."""
    revision: int
    """The newest revision of the study that says it."""
    size: int
    """Bytes of its file."""
    path: str
    """Below ``node.data_dir``."""
    purged_at: datetime | None
    """When its file was removed."""
    created_at: datetime
    """When it was made."""
    deliveries: list[DeliveryRow]
    """To each destination that gets it."""


class StudyShown(StudyProgress):
    """A study, with all that came and was made of it."""

    inputs_purged_at: datetime | None
    """When files of what came were removed."""
    results_purged_at: datetime | None
    """When files of what was made were removed."""
    instances: list[InstanceRow]
    """What came."""
    results: list[MadeRow]
    """What was made."""


class QueuedResult(TypedDict):
    """A result that is sent again."""

    kind: str
    """``report``, ``sr``, ``seg`` ..."""
    destination: str
    """Where to."""
    instance: str
    """SOP Instance UID."""


class WebUserRow(TypedDict):
    """A person who signs in over HTTP."""

    name: str
    """By which the person signs in."""
    role: str
    """``viewer``, ``operator`` or ``admin``."""
    created_at: datetime
    """When the person was added."""
    seen_at: datetime | None
    """When the person last signed in."""


class WebTokenRow(TypedDict):
    """What a program shows to be let in over HTTP."""

    name: str
    """By which it is revoked."""
    role: str
    """``sender``, ``viewer``, ``operator`` or ``admin``."""
    ae_title: str
    """Who the program is, where images come from it."""
    created_at: datetime
    """When it was made."""
    used_at: datetime | None
    """When it was last shown, to within five minutes."""
    expires_at: datetime | None
    """When it ends; null: not of itself."""


class Checked(TypedDict):
    """A destination or an alert that was tried."""

    name: str
    """Its name."""
    good: bool
    """Whether results would arrive, or the test did."""
    says: list[str]
    """What it says, or what is wrong, a line each."""
