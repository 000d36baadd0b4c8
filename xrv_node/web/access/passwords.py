"""Passwords: argon2id, and as much work for a name that there is not as for one that there is."""

from __future__ import annotations

import threading
import unicodedata
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from xrv_node.errors import ConfigError

LEAST = 15
"""Characters: NIST SP 800-63B-4 section 3.1.1.2, of a password that is the only factor."""
MOST = 256
"""Characters that are looked at; the section wants 64 at least."""
AT_ONCE = 2
"""Hashes at the same time: each takes 64 MiB (RFC 9106 section 4, the second recommended set)."""

_HASHER = PasswordHasher()
_turn = threading.BoundedSemaphore(AT_ONCE)


def hashed(password: str) -> str:
    """Return what is kept of a password.

    Raises
    ------
    ConfigError
        When it is too short, too long or holds what no keyboard writes.
    """
    if not LEAST <= len(password) <= MOST or not password.isprintable():
        raise ConfigError(f"a password has {LEAST} to {MOST} printable characters; several words are one too")
    return _HASHER.hash(_normal(password))


def fits(kept: str | None, password: str) -> bool:
    """Whether a password is the one of which `kept` was made; with None it is not, and takes as long."""
    with _turn:
        try:
            right = _HASHER.verify(kept or _nobodys(), _normal(password[: MOST + 1]))
        except (VerificationError, InvalidHashError):
            return False
    return right and kept is not None


def is_dated(kept: str) -> bool:
    """Whether it was made with other parameters than today's."""
    return _HASHER.check_needs_rehash(kept)


@cache
def _nobodys() -> str:
    return _HASHER.hash("nobody")


def _normal(password: str) -> str:
    """One form of each character, whichever keyboard wrote it (RFC 8265 section 4.2.2, Unicode's NFC)."""
    return unicodedata.normalize("NFC", password)
