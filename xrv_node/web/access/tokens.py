"""Tokens, which programs show (``Authorization: Bearer``, RFC 6750)."""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from xrv_node.db import trail
from xrv_node.db.access_tables import WebToken
from xrv_node.db.rows import WebTokenRow
from xrv_node.errors import ConfigError
from xrv_node.settings.access import Role
from xrv_node.web.access.users import known_as

BYTES = 32
PREFIX = "xrv_"
"""By which a token is told, in a file where none should be."""
USED_EVERY = timedelta(minutes=5)
"""How exact the time of the last use is: each is a write."""


def add(db: Session, name: str, role: Role, ae_title: str, expires_at: datetime | None = None) -> str:
    """Make a token; what is returned is shown once and kept nowhere.

    Raises
    ------
    ConfigError
        When there is one of that name, or it would have ended already.
    """
    name, now = known_as(name), datetime.now(UTC)
    if expires_at is not None and expires_at <= now:
        raise ConfigError(f"a token that ends {expires_at.date()} is of no use: choose a day to come")
    if db.scalar(select(WebToken.id).where(WebToken.name == name)) is not None:
        raise ConfigError(f"there is a token {name} already: revoke it, or choose another name")
    made = PREFIX + secrets.token_urlsafe(BYTES)
    db.add(
        WebToken(
            name=name,
            sha256=_digest(made),
            role=role,
            ae_title=ae_title,
            created_at=now,
            expires_at=expires_at,
        )
    )
    until = None if expires_at is None else expires_at.isoformat(timespec="seconds")
    trail.record(db, "token.added", name=name, role=role, ae_title=ae_title, expires=until)
    return made


def all_of_them(db: Session) -> list[WebTokenRow]:
    """All tokens, by name, and nothing that could be shown in their place."""
    return [
        {
            "name": one.name,
            "role": one.role,
            "ae_title": one.ae_title,
            "created_at": one.created_at,
            "used_at": one.used_at,
            "expires_at": one.expires_at,
        }
        for one in db.scalars(select(WebToken).order_by(WebToken.name))
    ]


def revoke(db: Session, name: str) -> None:
    """Let nobody in with it any more.

    Raises
    ------
    ConfigError
        When there is none of that name.
    """
    found = db.scalar(select(WebToken).where(WebToken.name == name.strip().lower()))
    if found is None:
        there = ", ".join(one["name"] for one in all_of_them(db)) or "none"
        raise ConfigError(f"there is no token {name!r}; there are: {there}")
    db.delete(found)
    trail.record(db, "token.revoked", name=found.name)


def find(db: Session, shown: str) -> WebToken | None:
    """The token that somebody shows, while it is valid."""
    found = db.scalar(select(WebToken).where(WebToken.sha256 == _digest(shown)))
    if found is None or (found.expires_at is not None and found.expires_at <= datetime.now(UTC)):
        return None
    return found


def is_to_be_noted(token: WebToken) -> bool:
    """Whether its last use is not on record, as exactly as that is kept."""
    return token.used_at is None or datetime.now(UTC) - token.used_at > USED_EVERY


def note(db: Session, token: WebToken) -> None:
    """Put its use on record."""
    db.execute(update(WebToken).where(WebToken.id == token.id).values(used_at=datetime.now(UTC)))


def _digest(shown: str) -> str:
    return hashlib.sha256(shown.encode("utf-8", "surrogateescape")).hexdigest()
