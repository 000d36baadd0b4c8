"""What is said of any service over HTTP that the node asks: where it is, and how one logs in."""

from __future__ import annotations

from pydantic import Field, model_validator

from xrv_node.settings.section import PathText, ProxyUrl, Section
from xrv_node.settings.tls import TlsClientSection


class HttpService(Section):
    """What is reached over HTTP."""

    url: str = Field(
        pattern=r"^https?://[^\s/@?#]+(/[^\s@?#]*)?$",
        description="an address such as https://pacs.example/dicom-web, without user name and password",
    )
    token_file: PathText | None = None
    token_variable: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    user: str | None = Field(default=None, pattern=r"^[^:\s]+$")
    password_file: PathText | None = None
    timeout_seconds: float = Field(default=60, gt=0, le=3600)
    proxy: ProxyUrl | None = None
    tls: TlsClientSection | None = None

    @property
    def key(self) -> str:
        """Where it stands in the configuration."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _one_secret(self) -> HttpService:
        if (self.user is None) != (self.password_file is None):
            raise ValueError("user and password_file go together: give both, or neither")
        given = [k for k in ("token_file", "token_variable", "user") if getattr(self, k) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)}: there is one way to log in; keep one of them")
        return self
