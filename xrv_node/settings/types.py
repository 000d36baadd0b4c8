"""What the configuration's tables are made of: checked texts, numbers and paths."""

from __future__ import annotations

import os
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator


def _ae_title(value: str) -> str:
    """1 to 16 printable ASCII characters, no backslash, not only spaces (PS3.5 6.2, VR AE)."""
    title = value.strip(" ")
    if not 1 <= len(title) <= 16 or not all(" " <= c <= "~" and c != "\\" for c in title):
        raise ValueError("an AE title is 1 to 16 printable ASCII characters without backslash")
    return title


def _home(value: Any) -> Any:
    return os.path.expanduser(value) if isinstance(value, str) else value


AETitle = Annotated[str, AfterValidator(_ae_title)]
Port = Annotated[int, Field(ge=0, le=65535)]
PathText = Annotated[Path, BeforeValidator(_home)]


class Section(BaseModel):
    """A table of the file. Frozen, and strict about keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def below(self, base: Path) -> Self:
        """The same with every relative path, also of the tables in it, below `base`."""
        changed: dict[str, Any] = {}
        for key, value in self:
            if isinstance(value, Path):
                changed[key] = base / value
            elif isinstance(value, Section):
                changed[key] = value.below(base)
        return self.model_copy(update=changed)


class TlsSection(Section):
    """A certificate with its key, and whose certificates peers must have."""

    certificate: PathText
    key: PathText
    ca: PathText | None = None


class TlsClientSection(Section):
    """TLS to a peer; that the table is there turns it on."""

    certificate: PathText | None = None
    key: PathText | None = None
    ca: PathText | None = None
    verify_host: bool = True

    @model_validator(mode="after")
    def _both(self) -> TlsClientSection:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together: give both, or neither")
        return self


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
