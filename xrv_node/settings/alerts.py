"""The tables ``[[alerts]]``: who is told what, when. A section a kind."""

from __future__ import annotations

from datetime import time
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, model_validator

from xrv_node.languages import ENGLISH
from xrv_node.settings.destinations import Label
from xrv_node.settings.section import PathText, PeerPort, ProxyUrl, Section
from xrv_node.settings.tls import TlsClientSection

What = Literal["parked", "away", "disk", "constancy", "restarts", "silent", "finding", "mismatch"]
WHAT: tuple[What, ...] = get_args(What)
"""What there is to be told of; ``alerts.rules`` has a rule for each."""
OF_PATIENTS: tuple[What, ...] = ("finding", "mismatch")
"""What the networks say of patients."""
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = get_args(Day)


def _span(value: str) -> str:
    try:
        begin, end = map(time.fromisoformat, value.split("-"))
    except ValueError:
        raise ValueError('two times of the day are needed, such as "07:00-18:00"') from None
    if not begin < end:
        raise ValueError("the second time must be after the first")
    return value


def _time(value: str) -> str:
    if value:
        try:
            time.fromisoformat(value)
        except ValueError:
            raise ValueError('a time of the day is needed, such as "07:30"; empty: at once') from None
    return value


class AlertSection(Section):
    """What every alert can be told; each kind adds where it goes."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9._-]{1,64}$",
        description="a name of letters, digits, dots, hyphens and underscores, at most 64",
    )
    kind: str
    on: tuple[What, ...] = Field(min_length=1)
    at_most_minutes: float = Field(default=15, ge=0, le=1440)
    digest_at: Annotated[str, AfterValidator(_time)] = ""
    language: str = ENGLISH
    findings: tuple[Label, ...] = ()
    silent_hours: float = Field(default=4, gt=0, le=1000)
    working_time: Annotated[str, AfterValidator(_span)] = "07:00-18:00"
    working_days: tuple[Day, ...] = Field(default=("mon", "tue", "wed", "thu", "fri"), min_length=1)
    restarts: int = Field(default=3, ge=1, le=100)
    with_patient: bool = False
    timeout_seconds: float = Field(default=30, gt=0, le=600)

    @property
    def digest(self) -> time | None:
        """When it is told once a day, in the machine's local time; None: at once."""
        return time.fromisoformat(self.digest_at) if self.digest_at else None

    @property
    def working(self) -> tuple[time, time]:
        """Beginning and end of the working time."""
        begin, end = map(time.fromisoformat, self.working_time.split("-"))
        return begin, end


class WebhookAlert(AlertSection):
    """A signed POST."""

    kind: Literal["webhook"] = "webhook"
    url: str = Field(
        pattern=r"^https?://[^\s/@?#]+(/[^\s@#]*)?$",
        description="an address such as https://tickets.example/hook, without user name and password",
    )
    secret_file: PathText
    proxy: ProxyUrl | None = None
    tls: TlsClientSection | None = None


Address = Annotated[str, Field(pattern=r"^[^\s@<>,;:\"()\[\]\\]+@[A-Za-z0-9.-]+$", max_length=254)]


class MailAlert(AlertSection):
    """A message by SMTP."""

    kind: Literal["mail"] = "mail"
    host: str = Field(min_length=1)
    port: PeerPort = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    sender: Address
    to: tuple[Address, ...] = Field(min_length=1)
    user: str | None = Field(default=None, min_length=1)
    password_file: PathText | None = None
    tls: TlsClientSection | None = None

    @model_validator(mode="after")
    def _login(self) -> MailAlert:
        if (self.user is None) != (self.password_file is None):
            raise ValueError("user and password_file go together: give both, or neither")
        if self.security == "none" and self.user is not None:
            raise ValueError('security = "none": a password would go over the network in the clear')
        if self.security == "none" and self.tls is not None:
            raise ValueError('security = "none" is not encrypted: leave [alerts.tls] out')
        return self


Alert = Annotated[WebhookAlert | MailAlert, Field(discriminator="kind")]
"""The kinds of alert."""
