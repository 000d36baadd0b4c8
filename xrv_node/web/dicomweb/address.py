"""Where the services are, as a client reaches them."""

from __future__ import annotations

from fastapi import Request

PREFIX = "/dicom-web"


def service(request: Request) -> str:
    """Return the absolute address of the DICOMweb services, without a slash at its end; behind a proxy that
    is trusted, the proxy's."""
    return str(request.base_url).rstrip("/") + PREFIX
