"""The table ``[audit]`` of the configuration."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from xrv_node.settings.section import PeerPort, Section
from xrv_node.settings.tls import TlsClientSection


class AuditSection(Section):
    """The audit repository that the trail is sent to, as syslog (IHE ITI-20). None unless `host` names it."""

    host: str = ""
    port: PeerPort = 6514
    protocol: Literal["tls", "udp"] = "tls"
    with_patient: bool = False
    tls: TlsClientSection | None = None

    @model_validator(mode="after")
    def _no_tls_over_udp(self) -> AuditSection:
        if self.protocol == "udp" and self.tls is not None:
            raise ValueError('protocol = "udp" is not encrypted: leave [audit.tls] out, or choose "tls"')
        return self

    @property
    def repository(self) -> str:
        """Host and port, by which the database knows it."""
        return f"{self.host}:{self.port}"
