"""The keys of ``[web]`` that say who may come, and as what."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, IPvAnyNetwork, model_validator

from xrv_node.settings.section import PathOrEmpty, ProxyUrl, Section, is_loopback
from xrv_node.settings.tls import TlsClientSection

Role = Literal["sender", "viewer", "operator", "admin"]
"""What somebody may: a sender stores, a viewer reads, an operator does both and acts, an admin all."""


def _origin(value: str) -> str:
    """As a browser writes it (RFC 6454 section 6.2)."""
    if not re.fullmatch(r"https?://(\[[0-9a-f:]+\]|[a-z0-9.-]+)(:[0-9]+)?", value):
        raise ValueError(
            "an origin is scheme, host and port in small letters, as https://viewer.example:8443"
        )
    return value


def _host_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", value):
        raise ValueError("a host's name is letters, digits, dots and hyphens, without a port")
    return value.lower()


def _header_name(value: str) -> str:
    if value and not re.fullmatch(r"[A-Za-z0-9-]+", value):
        raise ValueError("a header's name is letters, digits and hyphens, as X-Remote-User")
    return value.lower()


Origin = Annotated[str, AfterValidator(_origin)]
HostName = Annotated[str, AfterValidator(_host_name)]
HeaderName = Annotated[str, AfterValidator(_header_name)]


class OidcSection(Section):
    """The site's own sign-in (OpenID Connect); that the table is there turns it on."""

    issuer: str = Field(
        pattern=r"^https?://[^\s?#]+$",
        description="an address such as https://login.example/realms/hospital",
    )
    client_id: str = Field(min_length=1)
    client_secret_file: PathOrEmpty = None
    """None: a public client, which shows a code verifier alone."""
    scope: str = "openid profile"
    name_claim: str = Field(default="preferred_username", min_length=1)
    role_claim: str = "roles"
    """Claims may lie within others, as ``realm_access.roles``."""
    roles: dict[str, Role] = Field(default_factory=dict)
    """What the words of that claim mean, beside the roles' own names."""
    role: Role | Literal[""] = ""
    """Of whom the claim gives none; empty: not let in."""
    proxy: ProxyUrl | None = None
    tls: TlsClientSection | None = None

    @model_validator(mode="after")
    def _secret(self) -> OidcSection:
        host = urlsplit(self.issuer).hostname or ""
        if self.issuer.startswith("http:") and not is_loopback(host):
            raise ValueError("issuer: it vouches for people, so its address begins with https://")
        return self


class AccessSection(Section):
    """Who may come over HTTP. Nothing here opens anything but to this machine."""

    names: tuple[HostName, ...] = ()
    """What the node is called in addresses, beside its IP addresses and the machine's own name."""
    open_loopback: bool = True
    """Whether whoever is on this machine may all without signing in."""
    allowed_origins: tuple[Origin, ...] = ()
    """Of other sites' pages that may read here, with a token."""
    trusted_proxies: tuple[IPvAnyNetwork, ...] = ()
    """Whose X-Forwarded headers are believed, and who may say who asks."""
    proxy_user_header: HeaderName = ""
    proxy_role_header: HeaderName = ""
    proxy_role: Role = "viewer"
    """Of whom that header gives none."""
    proxy_roles: dict[str, Role] = Field(default_factory=dict)
    """What the words of that header mean, groups for example; beside the roles' own names."""
    idle_minutes: int = Field(default=30, ge=1, le=1440)
    session_hours: int = Field(default=12, ge=1, le=720)
    oidc: OidcSection | None = None

    @model_validator(mode="after")
    def _a_proxy_says_so(self) -> AccessSection:
        if self.proxy_user_header and not self.trusted_proxies:
            raise ValueError(
                "proxy_user_header is believed from trusted_proxies alone: name the proxy's address there"
            )
        return self
