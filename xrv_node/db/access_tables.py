"""The tables of who may come over HTTP."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from xrv_node.db.tables import Base


class WebUser(Base):
    """A person who signs in over HTTP with a password."""

    __tablename__ = "web_user"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    role: Mapped[str] = mapped_column(String(16))
    password: Mapped[str] = mapped_column(String(255))
    """Its argon2id hash with salt and parameters, as the reference implementation writes it."""
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime | None]
    """When the person last signed in."""


class WebToken(Base):
    """What a program shows to be let in over HTTP."""

    __tablename__ = "web_token"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    """Of the token, which is kept nowhere: it has 256 random bits, so that it needs no slow hash."""
    role: Mapped[str] = mapped_column(String(16))
    ae_title: Mapped[str] = mapped_column(String(16))
    """Who it is for the rules of ``when`` and for replies."""
    created_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]


class WebSession(Base):
    """A browser in which somebody has signed in; a row that is gone is signed out."""

    __tablename__ = "web_session"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Of the cookie."""
    user_id: Mapped[int | None] = mapped_column(ForeignKey("web_user.id"), index=True)
    """Empty for a person of the site's own provider (OpenID Connect)."""
    name: Mapped[str] = mapped_column(String(64))
    role: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
