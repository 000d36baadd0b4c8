"""A secret in a file: one line, read anew each time, for files are replaced."""

from __future__ import annotations

from pathlib import Path

from xrv_node.errors import ConfigError


def read(path: Path, key: str) -> str:
    """Read it.

    Parameters
    ----------
    key
        The key of the configuration, for messages.

    Raises
    ------
    ConfigError
        When the file cannot be read, or holds no single line of ASCII.
    """
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8"
        raise ConfigError(f"{key}: {path} cannot be read ({why})") from error
    if not text or not text.isprintable() or not text.isascii():
        raise ConfigError(f"{key}: {path} must hold one line of ASCII, and nothing else")
    return text
