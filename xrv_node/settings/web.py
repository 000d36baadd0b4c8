"""The table ``[web]`` of the configuration."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, IPvAnyNetwork, model_validator

from xrv_node.settings.destinations import DestinationSection, ResultKind
from xrv_node.settings.section import PathOrEmpty, Port, Section, is_loopback
from xrv_node.settings.tls import TlsSection

Origin = Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9.\[\]:-]+$")]
"""Scheme, host and port, as a browser sends it (RFC 6454 section 7)."""


class WebSection(Section):
    """The node over HTTP. Off unless asked for: by default a node opens one port."""

    enabled: bool = False
    host: str = "127.0.0.1"
    port: Port = 8080
    token_file: PathOrEmpty = None
    tls: TlsSection | None = None
    allowed_origins: tuple[Origin, ...] = ()
    trusted_proxies: tuple[IPvAnyNetwork, ...] = ()
    index_url: str = Field(default="", pattern=r"^($|sqlite(\+\w+)?:|postgresql(\+\w+)?:)")
    viewer_url: str = Field(default="", pattern=r"^(https?://[^\s\"'<>]+)?$")

    send: tuple[ResultKind, ...] = ("report", "sr", "seg", "sc")
    language: str = ""
    seg_geometry: Literal["nominal", "none"] = "nominal"
    seg_type: Literal["binary", "labelmap"] = "binary"

    header_seconds: float = Field(default=10, gt=0, le=3600)
    idle_seconds: float = Field(default=60, gt=0, le=3600)
    body_seconds: float = Field(default=30, gt=0, le=3600)
    min_kb_per_second: float = Field(default=1, ge=0, le=1 << 20)
    max_connections: int = Field(default=512, ge=1, le=10000)
    max_connections_per_address: int = Field(default=256, ge=1, le=10000)

    @model_validator(mode="after")
    def _guarded(self) -> WebSection:
        if self.token_file is None and not is_loopback(self.host):
            raise ValueError(f"other machines reach {self.host}: name a file with a token in web.token_file")
        return self

    def taker(self, language: str) -> DestinationSection:
        """The web as a destination that nothing is delivered to: what is fetched must have been made.

        Parameters
        ----------
        language
            Where it names none of its own.
        """
        return DestinationSection(
            name="web",
            kind="web",
            send=self.send if self.enabled else (),
            language=self.language or language,
            seg_geometry=self.seg_geometry,
            seg_type=self.seg_type,
        )
