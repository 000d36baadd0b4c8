"""An archive of our own making, byte by byte, with one oddity at a time."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from pydicom.uid import ImplicitVRLittleEndian

from xrv_node.network import command
from xrv_node.network.command import NO_DATASET

Talk = Callable[[socket.socket], None]
GARBAGE = bytes.fromhex("c0b36049fc7f")


@contextmanager
def listening(serve: Talk) -> Iterator[int]:
    """Listen; `serve` has each connection, then it is closed. Yields the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def one(connection: socket.socket) -> None:
            with connection, suppress(OSError, EOFError):
                serve(connection)

        def listen() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=one, args=(connection,), daemon=True).start()

        threading.Thread(target=listen, daemon=True).start()
        yield int(listener.getsockname()[1])
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


@contextmanager
def answering(talk: Talk) -> Iterator[int]:
    """The same, once the association request was read."""

    def serve(connection: socket.socket) -> None:
        pdu(connection)
        talk(connection)

    with listening(serve) as port:
        yield port


def read(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        if not (piece := connection.recv(count - len(data))):
            raise EOFError
        data += piece
    return data


def pdu(connection: socket.socket) -> tuple[int, bytes]:
    kind, length = struct.unpack(">BxL", read(connection, 6))
    return kind, read(connection, length)


def item(kind: int, *parts: bytes) -> bytes:
    data = b"".join(parts)
    return struct.pack(">BxH", kind, len(data)) + data


def proposed(request: bytes) -> Iterator[tuple[int, bytes]]:
    """Context ID and first transfer syntax of each presentation context of a request's body."""
    at = 68
    while at < len(request):
        kind, length = struct.unpack_from(">BxH", request, at)
        if kind == 0x20:
            data, inner = request[at + 4 : at + 4 + length], 4
            while inner < len(data):
                what, size = struct.unpack_from(">BxH", data, inner)
                if what == 0x40:
                    yield data[0], data[inner + 4 : inner + 4 + size]
                    break
                inner += 4 + size
        at += 4 + length


def context(number: int, syntax: bytes, result: int = 0) -> bytes:
    return item(0x21, bytes((number, 0, result, 0)), item(0x40, syntax))


LENGTH, CLASS = item(0x51, struct.pack(">L", 16384)), item(0x52, b"1.2.3")


@dataclass
class Odd:
    """How an archive differs from the book."""

    called: bytes | None = None
    """Both AE titles in its acceptance; None: as they came."""
    application: bytes = item(0x10, b"1.2.840.10008.3.1.1.1")
    user: bytes = LENGTH + CLASS
    behind: bytes = b""
    accept: Callable[[int, int, bytes], bytes] = lambda _place, number, syntax: context(number, syntax)
    """The item for a context, of its place, ID and first transfer syntax."""
    fields: dict[int, bytes | None] = field(default_factory=dict)
    """Elements of a response, in place of or beside the usual ones; None: left out."""
    data_behind: bool = False
    """Whether a data set follows that was not announced."""
    pieces: int = 0
    """Bytes of the pieces that a response comes in; 0: whole."""
    last_word: bytes = b""
    """Sent behind each response, before the connection is closed; with ``hangs_up``."""
    hangs_up: bool = False
    stored: list[int] = field(default_factory=list)
    """Bytes of what came."""

    def serve(self, connection: socket.socket) -> None:
        """One connection, for :func:`listening`."""
        _, request = pdu(connection)
        connection.sendall(self._acceptance(request))
        encoded, size = b"", 0
        while (got := pdu(connection))[0] == 4:
            body = got[1]
            while body:
                length, number, control = struct.unpack_from(">LBB", body)
                data, body = body[6 : 4 + length], body[4 + length :]
                encoded, size = (encoded + data, size) if control & 1 else (encoded, size + len(data))
                if control == 2 or (control == 3 and command.read(encoded).CommandDataSetType == NO_DATASET):
                    self.stored += [size] if size else []
                    connection.sendall(self._response(number, encoded) + self.last_word)
                    encoded, size = b"", 0
                    if self.hangs_up:
                        return
        if got[0] == 5:
            connection.sendall(bytes((6, 0, 0, 0, 0, 4, 0, 0, 0, 0)))

    def _acceptance(self, request: bytes) -> bytes:
        titles = request[4:36] if self.called is None else 2 * self.called.ljust(16)
        contexts = (self.accept(n, number, syntax) for n, (number, syntax) in enumerate(proposed(request)))
        body = (
            b"\0\1\0\0" + titles + bytes(32) + self.application + b"".join(contexts)
            + (item(0x50, self.user) if self.user else b"") + self.behind
        )  # fmt: skip
        return struct.pack(">BxL", 2, len(body)) + body

    def _response(self, number: int, encoded: bytes) -> bytes:
        request = command.read(encoded)
        usual: dict[int, bytes | None] = {
            0x0002: str(request.AffectedSOPClassUID).encode(),
            0x0100: struct.pack("<H", request.CommandField | 0x8000),
            0x0120: struct.pack("<H", request.MessageID),
            0x0800: struct.pack("<H", NO_DATASET),
            0x0900: b"\0\0",
        }
        elements = usual | self.fields
        rest = b"".join(
            struct.pack("<HHL", 0, e, len(v) + len(v) % 2) + v + b"\0" * (len(v) % 2)
            for e, v in sorted(elements.items())
            if v is not None
        )
        size = self.pieces or len(rest)
        parts = [rest[at : at + size] for at in range(0, len(rest), size)]
        values = [(part, 3 if part is parts[-1] else 1) for part in parts]
        values += [(b"\x08\0\0\0", 2)] if self.data_behind else []
        return b"".join(
            struct.pack(">BxLLBB", 4, len(data) + 6, len(data) + 2, number, control) + data
            for data, control in values
        )


IMPLICIT = str(ImplicitVRLittleEndian).encode()
