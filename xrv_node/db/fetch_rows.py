"""What is shown of fetches and printed as JSON: the fields of each thing. `docs/json.md` is made of these."""

from __future__ import annotations

from datetime import datetime

from typing_extensions import TypedDict

from xrv_node.db.rows import EventRow
from xrv_node.reasons import Reason


class FetchRow(TypedDict):
    """Studies that an archive was asked for."""

    id: str
    """Its identifier."""
    archive: str
    """The archive's name."""
    state: str
    """``queued``, ``running``, ``done``, ``parked`` or ``cancelled``."""
    asked: int
    """How many things were asked for: studies, accessions, patients."""
    looked_up: int
    """For how many of them the studies are known."""
    unmatched: list[int]
    """The numbers of those that the archive has no study for, from 1, in the order in which they came."""
    studies: dict[str, int]
    """How many studies there are, by state: ``waiting``, ``done``, ``missing``, ``failed``."""
    objects: int
    """How many objects are wanted of those that were looked at so far."""
    present: int
    """Of these, how many were here already."""
    fetched: int
    """How many came."""
    failed: int
    """How many were refused, or did not come."""
    all_series: bool
    """Whether also what the node does not analyse is wanted."""
    attempts: int
    """How often it failed since something came last."""
    error: Reason | None
    """Why."""
    not_before: datetime
    """Of one that is queued: when it goes on at the earliest."""
    created_at: datetime
    """When it was asked for."""
    updated_at: datetime
    """When something of it changed last."""


class FetchableStudy(TypedDict):
    """A study that an archive has."""

    study: str
    """Study Instance UID."""
    modalities: list[str]
    """Of the series that are wanted."""
    series: int
    """How many these are."""
    objects: int
    """How many objects of them are wanted."""
    present: int
    """Of these, how many are here already."""


class FetchPreview(TypedDict):
    """What a fetch would bring."""

    studies: list[FetchableStudy]
    """The studies that the archive has."""
    unmatched: list[int]
    """The numbers of what it has no study for, from 1."""


class FetchedStudyRow(TypedDict):
    """A study of a fetch."""

    study: str
    """Study Instance UID."""
    state: str
    """``waiting``, ``done``, ``missing`` in the archive, or ``failed``."""
    objects: int
    """How many are wanted, once the archive has told."""
    present: int
    """Of these, how many were here already."""
    fetched: int
    """How many came."""
    failed: int
    """How many were refused, or did not come."""
    error: Reason | None
    """Why, of the last of them."""


class FetchHistory(FetchRow):
    """A fetch, its studies, and all that happened to it."""

    found: list[FetchedStudyRow]
    """The studies that it is of."""
    events: list[EventRow]
    """Its events of the trail, in order."""
