"""An audit repository: a syslog server over TLS that takes the octet counts of RFC 5425 apart."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

HEADER = re.compile(
    rb"<(?P<priority>\d{1,3})>1 (?P<at>\S+) (?P<host>[!-~]{1,255}) (?P<app>[!-~]{1,48}) (?P<process>[!-~]{1,128}) "
    rb"(?P<id>[!-~]{1,32}) - (?P<message>.*)",
    re.DOTALL,
)
"""SYSLOG-MSG of RFC 5424 section 6, without structured data."""


def frames(stream: bytes) -> list[bytes]:
    """The messages of a connection (RFC 5425 section 4.3); fails on anything that is none."""
    found = []
    while stream:
        length, space, rest = stream.partition(b" ")
        assert space
        assert re.fullmatch(rb"[1-9][0-9]*", length)
        assert len(rest) >= int(length)
        found.append(rest[: int(length)])
        stream = rest[int(length) :]
    return found


@dataclass
class Repository:
    """Serves one connection after the other until it is left.

    Parameters
    ----------
    manner
        How a connection ends: ``orderly`` answers close_notify, ``curt`` only closes, ``leaves`` closes
        with something left to read, ``reset`` breaks off before it has read anything, ``talks`` never ends.
    """

    context: ssl.SSLContext
    manner: str = "orderly"
    port: int = 0
    connections: list[bytes] = field(default_factory=list)
    versions: list[str | None] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    @property
    def messages(self) -> list[bytes]:
        """All that came, in order."""
        return [message for stream in self.connections for message in frames(stream)]

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            with plain, suppress(OSError):
                self._one(plain)

    def _one(self, plain: socket.socket) -> None:
        plain.settimeout(10)
        try:
            secured = self.context.wrap_socket(plain, server_side=True)
        except OSError:
            return
        with secured:
            self.versions.append(secured.version())
            if self.manner == "reset":
                # Linger 0: the kernel sends RST instead of FIN.
                secured.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                return
            stream = b""
            while self.manner == "talks":  # until the sender hangs up
                secured.sendall(b"what")
            if self.manner == "leaves":
                secured.recv(100)
                return
            while got := secured.recv(65536):
                stream += got
            self.connections.append(stream)
            if self.manner == "orderly":
                secured.unwrap()
