"""People who sign in with a password. What changes who they are ends their sessions."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from xrv_node.db import trail
from xrv_node.db.access_tables import WebSession, WebUser
from xrv_node.db.rows import WebUserRow
from xrv_node.db.store import Store
from xrv_node.errors import ConfigError
from xrv_node.settings.access import Role
from xrv_node.web.access import passwords

MOST_LETTERS = 64
_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")


def known_as(name: str) -> str:
    """The name in the one spelling that counts.

    Raises
    ------
    ConfigError
        When it can be no name.
    """
    small = name.strip().lower()
    if not _NAME.fullmatch(small):
        raise ConfigError(
            "a name has 1 to 64 letters, digits, dots, hyphens, _ or @, and begins with a letter or digit"
        )
    return small


def add(db: Session, name: str, role: Role, password: str) -> str:
    """Add a person; returns the name as it is kept.

    Raises
    ------
    ConfigError
        When the name is taken or is none, or the password will not do.
    """
    name = known_as(name)
    if _found(db, name) is not None:
        raise ConfigError(
            f"there is a user {name} already: `xrv-node users passwd` or `users role` changes it"
        )
    db.add(WebUser(name=name, role=role, password=passwords.hashed(password), created_at=datetime.now(UTC)))
    trail.record(db, "user.added", name=name, role=role)
    return name


def check(store: Store, name: str, password: str) -> WebUser | None:
    """The person of that name, where the password fits; it takes as long to say no as to say yes."""
    with store.read() as db:
        user = _found(db, name.strip().lower())
    if not passwords.fits(None if user is None else user.password, password):
        return None
    return user


def exists(db: Session, name: str) -> bool:
    """Whether there is a person of that name."""
    return _found(db, name.strip().lower()) is not None


def note(db: Session, user: WebUser, password: str) -> None:
    """Put on record that a person has signed in; the hash is made anew where it is of other parameters."""
    values: dict[str, Any] = {"seen_at": datetime.now(UTC)}
    if passwords.is_dated(user.password):
        values["password"] = passwords.hashed(password)
    db.execute(update(WebUser).where(WebUser.id == user.id).values(values))


def everybody(db: Session) -> list[WebUserRow]:
    """All people, by name."""
    return [
        {"name": one.name, "role": one.role, "created_at": one.created_at, "seen_at": one.seen_at}
        for one in db.scalars(select(WebUser).order_by(WebUser.name))
    ]


def set_password(db: Session, name: str, password: str) -> None:
    """Give a person another password.

    Raises
    ------
    ConfigError
        When there is no such person, or the password will not do.
    """
    user = _known(db, name)
    user.password = passwords.hashed(password)
    _end_sessions(db, user)
    trail.record(db, "user.changed", name=user.name, what="password")


def set_role(db: Session, name: str, role: Role) -> None:
    """Let a person do more, or less.

    Raises
    ------
    ConfigError
        When there is no such person.
    """
    user = _known(db, name)
    user.role = role
    _end_sessions(db, user)
    trail.record(db, "user.changed", name=user.name, what="role", role=role)


def remove(db: Session, name: str) -> None:
    """Let a person in no more.

    Raises
    ------
    ConfigError
        When there is no such person.
    """
    user = _known(db, name)
    _end_sessions(db, user)
    db.delete(user)
    trail.record(db, "user.removed", name=user.name)


def _known(db: Session, name: str) -> WebUser:
    user = _found(db, name.strip().lower())
    if user is None:
        there = ", ".join(one["name"] for one in everybody(db)) or "none"
        raise ConfigError(f"there is no user {name!r}; there are: {there}")
    return user


def _found(db: Session, name: str) -> WebUser | None:
    return db.scalar(select(WebUser).where(WebUser.name == name))


def _end_sessions(db: Session, user: WebUser) -> None:
    db.execute(delete(WebSession).where(WebSession.user_id == user.id))
