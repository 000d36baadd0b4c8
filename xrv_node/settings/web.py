"""The table ``[web]`` of the configuration."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from xrv_node.settings.access import AccessSection
from xrv_node.settings.destinations import DestinationSection, ResultKind
from xrv_node.settings.section import PathOrEmpty, Port
from xrv_node.settings.tls import TlsSection


class WebSection(AccessSection):
    """The node over HTTP. Off unless asked for: by default a node opens one port."""

    enabled: bool = False
    host: str = "127.0.0.1"
    port: Port = 8080
    token_file: PathOrEmpty = None
    tls: TlsSection | None = None
    index_url: str = Field(
        default="",
        pattern=r"^($|sqlite(\+\w+)?:|postgresql(\+\w+)?:)",
        description="nothing, or an address that begins with sqlite: or postgresql",
    )
    viewer_url: str = Field(
        default="",
        pattern=r"^(https?://[^\s\"'<>]+)?$",
        description="an address such as https://viewer.example/viewer",
    )

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
