"""Who may what: one table of routes. What is not in it is an admin's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import cache

from starlette.routing import compile_path

from xrv_node.settings.access import Role


class Right(Enum):
    """What a route asks for."""

    NONE = "none"
    """It is open to whoever reaches the port."""
    STORE = "store"
    READ = "read"
    OPERATE = "operate"
    ADMINISTER = "administer"


RIGHTS: dict[Role, frozenset[Right]] = {
    "sender": frozenset({Right.STORE}),
    "viewer": frozenset({Right.READ}),
    "operator": frozenset({Right.STORE, Right.READ, Right.OPERATE}),
    "admin": frozenset({Right.STORE, Right.READ, Right.OPERATE, Right.ADMINISTER}),
}
"""What each role has; from the least to the most."""

READING = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110 section 9.2.1)."""
POST = frozenset({"POST"})
EITHER = READING | POST


@dataclass(frozen=True, slots=True)
class Route:
    """Which requests ask for which right."""

    path: str
    """As a router writes it; a slash at the end counts for nothing."""
    methods: frozenset[str]
    right: Right


ROUTES: tuple[Route, ...] = (
    Route("/health/{rest:path}", READING, Right.NONE),
    Route("/static/{rest:path}", READING, Right.NONE),
    Route("/favicon.ico", READING, Right.NONE),
    Route("/sign-in", EITHER, Right.NONE),
    Route("/sign-in/{rest:path}", READING, Right.NONE),
    Route("/sign-out", POST, Right.READ),
    Route("/theme", POST, Right.READ),
    Route("/metrics", READING, Right.READ),
    Route("/dicom-web/studies", POST, Right.STORE),
    Route("/dicom-web/studies/{study}", POST, Right.STORE),
    Route("/dicom-web/{rest:path}", READING, Right.READ),
    *(
        Route(f"{prefix}{path}", READING, Right.ADMINISTER)
        for prefix in ("", "/api/v1")
        for name in ("access", "settings", "trail")
        for path in (f"/{name}", f"/{name}/{{rest:path}}")
    ),
    *(
        Route(f"{prefix}/{path}", POST, Right.OPERATE)
        for prefix in ("", "/api/v1")
        for path in (
            *("studies", "studies/{rest:path}", "jobs", "jobs/{rest:path}", "fetches", "fetches/{rest:path}"),
            *("try", "try/{rest:path}", "connect/{rest:path}", "destinations/{rest:path}"),
        )
    ),
    Route("/api/v1/{rest:path}", READING, Right.READ),
    Route("/", READING, Right.READ),
    *(
        Route(path, READING, Right.READ)
        for name in ("connect", "studies", "jobs", "fetches", "try", "models", "statistics", "events")
        for path in (f"/{name}", f"/{name}/{{rest:path}}")
    ),
)
"""The first that fits counts."""


def needed(method: str, path: str) -> Right:
    """What a request asks for."""
    plain = path.rstrip("/") or "/"
    for pattern, route in _compiled():
        if method in route.methods and pattern.fullmatch(plain):
            return route.right
    return Right.ADMINISTER


def least(right: Right) -> Role:
    """The least role that has it."""
    return next(role for role, rights in RIGHTS.items() if right in rights)


def highest(roles: list[Role]) -> Role | None:
    """The role of several that may most; None of none."""
    return max(roles, key=list(RIGHTS).index, default=None)


@cache
def _compiled() -> tuple[tuple[re.Pattern[str], Route], ...]:
    return tuple((compile_path(route.path)[0], route) for route in ROUTES)
