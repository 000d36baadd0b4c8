"""Who runs a command: what the trail names when a person changes something."""

from __future__ import annotations

import os
import pwd
import socket
from contextlib import suppress
from pathlib import Path

_NOBODY = 2**32 - 1
"""The kernel's login user of processes that nobody logged in for."""


def operator() -> str:
    """The operating system's user and this host, e.g. ``root@node1 (logged in as anna)``.

    The login user is the kernel's own, which ``sudo`` and ``su`` do not change (Linux' ``loginuid``); it is
    left out where it is the same, and where nobody logged in. No variable of the environment is believed.
    """
    user = _name(os.geteuid())
    login = _login()
    return f"{user}@{socket.gethostname()}" + (
        f" (logged in as {login})" if login not in (None, user) else ""
    )


def _login() -> str | None:
    with suppress(OSError, ValueError):
        number = int(Path("/proc/self/loginuid").read_text(encoding="ascii"))
        if number != _NOBODY:
            return _name(number)
    return None


def _name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid {number}"
