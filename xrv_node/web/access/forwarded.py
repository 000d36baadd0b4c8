"""What a proxy says of the request that it hands on, believed of ``trusted_proxies`` alone."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send

from xrv_node.settings.section import plain_address

Networks = Sequence[IPv4Network | IPv6Network]

SAYING = (
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "forwarded",
    "x-real-ip",
)
"""Headers by which a request is told to have come through a proxy."""


class Forwarded:
    """Sets scheme, host and client of a request as they were before the proxies.

    In ``scope["state"]``: ``proxy``, whether a trusted one handed the request on; ``through``, whether any
    proxy did, as far as it says so.
    """

    def __init__(self, app: ASGIApp, trusted: Networks) -> None:
        self._app, self._trusted = app, trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] in ("http", "websocket"):
            headers, state = Headers(scope=scope), scope.setdefault("state", {})
            peer = (scope.get("client") or ("", 0))[0]
            state["proxy"] = is_in(peer, self._trusted)
            state["through"] = state["proxy"] or any(name in headers for name in SAYING)
            if state["proxy"]:
                self._believe(scope, headers)
        await self._app(scope, receive, send)

    def _believe(self, scope: Scope, headers: Headers) -> None:
        chain = [one.strip() for line in headers.getlist("x-forwarded-for") for one in line.split(",")]
        strangers = [one for one in chain if not is_in(_host(one), self._trusted)]
        told = (
            strangers[-1:] or chain[:1]
        )  # the last that no proxy of ours is: what stands before it, anybody may write
        if told and _is_address(_host(told[0])):
            scope["client"] = (str(plain_address(_host(told[0]))), 0)
        elif told:
            scope["client"] = ("unknown", 0)
        scheme = _last(headers.get("x-forwarded-proto", "")).lower()
        if scheme in ("http", "https"):
            scope["scheme"] = scheme
        if host := _last(headers.get("x-forwarded-host", "")):
            MutableHeaders(scope=scope)["host"] = host


def is_in(address: str, networks: Networks) -> bool:
    """Whether an address is of one of the networks; a text that is none is of none."""
    return _is_address(address) and any(plain_address(address) in network for network in networks)


def _is_address(text: str) -> bool:
    try:
        plain_address(text)
    except ValueError:
        return False
    return True


def _host(text: str) -> str:
    """Without the port that some proxies write, and the brackets of IPv6."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def _last(text: str) -> str:
    return text.rpartition(",")[2].strip()
