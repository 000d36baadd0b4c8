"""Whether a request is meant for this node, and comes from a page that may send it.

A browser asks whatever a stranger's page tells it to, also of this machine (DNS rebinding, cross-site request
forgery). It says in headers that no page can write which name it asked for, and who told it.
"""

from __future__ import annotations

import socket
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from xrv_node.settings.section import plain_address
from xrv_node.web.access.roles import READING

_PORTS = {"http": 80, "https": 443}


def known_host(host: str, names: Collection[str]) -> bool:
    """Whether the Host header is one of ours: an IP address, which nobody can rebind, this machine's own
    name, or one that is configured."""
    parts = _parts(f"//{host}")
    if parts is None:
        return False
    name = parts[0].rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        plain_address(name)
    except ValueError:
        return name in names or name == socket.gethostname().lower()
    return True


def is_foreign(method: str, scheme: str, headers: Headers, allowed: Collection[str]) -> bool:
    """Whether a page of another site sends it, that is none of the allowed ones.

    What a browser says in Sec-Fetch-Site counts first: with ``Referrer-Policy: no-referrer`` it hides the
    Origin of our own forms. A link from elsewhere may lead here, and nothing else may be shown there. Who
    sends neither header is no browser.
    """
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    if origin in allowed:
        return False
    if site is not None:
        follows = method in READING and headers.get("sec-fetch-mode") == "navigate"
        return site not in ("same-origin", "none") and not follows
    return origin is not None and not _same(origin, scheme, headers.get("host", ""))


def _same(origin: str, scheme: str, host: str) -> bool:
    theirs, ours = _parts(origin), _parts(f"{scheme}://{host}")
    return theirs is not None and theirs == ours and urlsplit(origin).scheme == scheme


def _parts(address: str) -> tuple[str, int | None] | None:
    """Host and port of an address; None where it has none."""
    try:
        split = urlsplit(address)
        host, port = split.hostname, split.port
    except ValueError:
        return None
    if not host or split.username is not None or split.path or split.query or split.fragment:
        return None
    return host.lower(), port or _PORTS.get(split.scheme)
