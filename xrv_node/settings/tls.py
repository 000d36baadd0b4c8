"""The tables named ``tls``: of who listens, and of who connects."""

from __future__ import annotations

from pydantic import model_validator

from xrv_node.settings.section import PathText, Section


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
