"""Ports for what a test starts itself."""

from __future__ import annotations

import itertools
import random
import socket

# Below the ports that the kernel gives to outgoing connections (32768 and up): one of those can be taken between the
# question for a free port and the start of the program that is to listen on it.
FIRST, LAST = 20000, 32767

_claims: list[socket.socket] = []  # held until this process ends


def free_port() -> int:
    """A port of this machine on which nobody listens, and which no other process of the tests is given."""
    for port in itertools.islice(iter(lambda: random.randint(FIRST, LAST), None), 1000):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0xrv-node-tests-port-{port}")  # an abstract name: it goes with the process
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        return port
    raise OSError(f"no port between {FIRST} and {LAST} is free")
