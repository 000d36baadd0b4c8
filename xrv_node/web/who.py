"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from fastapi import Request

from xrv_node.settings.access import Role


@dataclass(frozen=True, slots=True)
class Who:
    """The person or program behind a request, as far as it is known."""

    name: str
    """Empty where nobody had to sign in."""
    role: Role
    ae_title: str
    """What it counts as where it stores images, for ``when`` and replies."""
    address: str


def of(request: Request) -> Who:
    """Who sent this request; every request that reaches a route has one."""
    return cast(Who, request.state.who)
