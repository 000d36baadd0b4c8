"""The table ``[priors]``: a section a kind of archive."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr

from xrv_node.settings.section import AETitle, PeerPort, ProxyUrl, Section


class PriorsSection(Section):
    """Earlier studies of the patient: what is asked for wherever they are."""

    max_studies: int = Field(default=3, ge=0, le=10)
    kind: str
    timeout_seconds: float = Field(default=10, gt=0, le=300)


class LocalPriors(PriorsSection):
    """Those that this node has analysed itself, and no others."""

    kind: Literal["none"] = "none"


class DimsePriors(PriorsSection):
    """Those of an archive too, by C-FIND and C-GET."""

    kind: Literal["dimse"] = "dimse"
    ae_title: AETitle = "ARCHIVE"
    host: str = Field(min_length=1)
    port: PeerPort = 104


class WebPriors(PriorsSection):
    """Those of an archive too, by QIDO-RS and WADO-RS."""

    kind: Literal["web"] = "web"
    url: str = Field(
        pattern=r"^https?://[^\s/@?#]+(/[^\s@?#]*)?$",
        description="an address such as https://pacs.example/dicom-web, without user name and password",
    )
    token: SecretStr = SecretStr("")
    proxy: ProxyUrl | None = None


_WRITTEN = {"ae_title": "ARCHIVE", "host": "", "port": 104, "url": "", "token": ""}
"""The default file had these keys whatever the kind: left as they were written there they say nothing."""


def _as_meant(table: Any) -> Any:
    if not isinstance(table, dict):
        return table
    return {"kind": "none"} | {k: v for k, v in table.items() if k not in _WRITTEN or v != _WRITTEN[k]}


Priors = Annotated[
    LocalPriors | DimsePriors | WebPriors, Field(discriminator="kind"), BeforeValidator(_as_meant)
]
"""The kinds of archive."""
