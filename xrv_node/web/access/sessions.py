"""Who has signed in, by a cookie of which the database has the digest."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from xrv_node.db.access_tables import WebSession
from xrv_node.settings.access import AccessSection, Role

BYTES = 32
SEEN_EVERY = timedelta(minutes=1)
"""How exact the time of the last request is: each is a write."""
SECURE, PLAIN = "__Host-xrv-node", "xrv-node"
"""Names of the cookie: with TLS (RFC 6265bis section 4.1.3.2), and without it, on this machine alone."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A session that holds."""

    name: str
    role: Role
    seen_at: datetime

    @property
    def is_to_be_noted(self) -> bool:
        """Whether that it is in use is not on record, as exactly as that is kept."""
        return datetime.now(UTC) - self.seen_at > SEEN_EVERY


def begin(db: Session, web: AccessSection, name: str, role: Role, user_id: int | None) -> str:
    """Begin one, and forget those that are over; returns what the cookie holds."""
    now, made = datetime.now(UTC), secrets.token_urlsafe(BYTES)
    db.execute(delete(WebSession).where(WebSession.created_at < now - timedelta(hours=web.session_hours)))
    db.add(
        WebSession(sha256=digest(made), user_id=user_id, name=name, role=role, created_at=now, seen_at=now)
    )
    return made


def find(db: Session, web: AccessSection, cookie: str) -> Signed | None:
    """The session of a cookie, unless it has ended: by itself, idle, or since the person was changed."""
    now = datetime.now(UTC)
    row = db.scalar(select(WebSession).where(WebSession.sha256 == digest(cookie)))
    if row is None or now - row.created_at > timedelta(hours=web.session_hours):
        return None
    if now - row.seen_at > timedelta(minutes=web.idle_minutes):
        return None
    return Signed(row.name, row.role, row.seen_at)  # type: ignore[arg-type]


def note(db: Session, cookie: str) -> None:
    """Put on record that it is in use."""
    if (row := db.get(WebSession, digest(cookie))) is not None:
        row.seen_at = datetime.now(UTC)


def end(db: Session, cookie: str) -> None:
    """Sign out."""
    db.execute(delete(WebSession).where(WebSession.sha256 == digest(cookie)))


def digest(cookie: str) -> str:
    """What is kept of a cookie, which has 256 random bits."""
    return hashlib.sha256(cookie.encode("utf-8", "surrogateescape")).hexdigest()


def form_token(cookie: str) -> str:
    """What a form of this session shows beside the cookie: no other site's page can know it."""
    return hmac.new(cookie.encode("utf-8", "surrogateescape"), b"form", hashlib.sha256).hexdigest()
