"""The tables ``[[archives]]``, a section a kind, and ``[fetch]``: where studies come from, and how fast."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from xrv_node.settings.http_service import HttpService
from xrv_node.settings.priors import DimsePriors, Priors, WebPriors
from xrv_node.settings.section import AETitle, PeerPort, Section
from xrv_node.settings.tls import TlsClientSection

PRIORS = "priors"
"""What the archive of ``[priors]`` is called among them."""


class FetchSection(Section):
    """How fast studies are fetched."""

    max_objects_per_minute: int = Field(default=0, ge=0)
    """From one archive; 0: as fast as it gives them. One is asked for at a time in any case."""


class ArchiveSection(Section):
    """What every archive can be told; each kind adds its own keys."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9._-]{1,16}$",
        description="a name of letters, digits, dots, hyphens and underscores, at most 16",
    )
    """As long as an AE title: what comes over HTTP is as from a sender of this name."""
    kind: str
    timeout_seconds: float = Field(default=120, gt=0, le=3600)
    """For an answer, and for an object."""

    @property
    def key(self) -> str:
        """Where it stands in the configuration."""
        return PRIORS if self.name == PRIORS else f"archives.{self.name}"


class DimseArchive(ArchiveSection):
    """C-FIND, and C-GET or C-MOVE."""

    kind: Literal["dimse"] = "dimse"
    ae_title: AETitle
    host: str = Field(min_length=1)
    port: PeerPort
    move: Literal["get", "move"] = "get"
    tls: TlsClientSection | None = None


class WebArchive(ArchiveSection, HttpService):
    """QIDO-RS and WADO-RS."""

    kind: Literal["web"] = "web"


class WebArchiveOfPriors(WebArchive):
    """That of ``[priors]``, whose token may stand in the configuration itself."""

    token: SecretStr = SecretStr("")


Archive = Annotated[DimseArchive | WebArchive, Field(discriminator="kind")]
"""The kinds of archive."""


def all_of(archives: tuple[Archive, ...], priors: Priors) -> tuple[Archive, ...]:
    """The archives, and behind them that of ``[priors]``, if one is asked there."""
    if isinstance(priors, DimsePriors):
        known = {"ae_title": priors.ae_title, "host": priors.host, "port": priors.port}
        return (*archives, DimseArchive.model_validate({"name": PRIORS, **known}))
    if isinstance(priors, WebPriors):
        known = {"url": priors.url, "token": priors.token, "proxy": priors.proxy}
        return (*archives, WebArchiveOfPriors.model_validate({"name": PRIORS, **known}))
    return archives
