"""A receiver of another maker's: hl7apy, which knows the structures of the standard and refuses what breaks them."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.core import Message
from hl7apy.mllp import AbstractErrorHandler, AbstractHandler, MLLPRequestHandler, MLLPServer
from hl7apy.parser import parse_message
from ports import free_port


def strict(words: str) -> Message:
    """Read a message as v2.5.1 has it: what is missing, too often or out of place raises. Not by the library's strict
    reading, which takes every OBX-5 for an ST, of 199 characters."""
    made = parse_message(words, validation_level=VALIDATION_LEVEL.TOLERANT, force_validation=True)
    assert made.version == "2.5.1"
    return made


def unescaped(words: str) -> str:
    """A text as it was before (chapter 2.7.1), read by the letters of the standard."""
    found, rest = [], words
    while rest:
        head, mark, rest = rest.partition("\\")
        found.append(head)
        if mark:
            name, closed, rest = rest.partition("\\")
            assert closed
            found.append({"F": "|", "S": "^", "T": "&", "R": "~", "E": "\\"}[name])
    return "".join(found)


@dataclass
class Receiver:
    """What came, and what is said of it."""

    port: int
    code: str = "AA"
    error: str = ""
    of: str = ""
    raw: str | None = None
    """An answer that is none."""
    silent: bool = False
    got: list[str] = field(default_factory=list)
    gone: threading.Event = field(default_factory=threading.Event)

    def answer(self, words: str) -> str:
        self.got.append(words)
        if self.silent:
            self.gone.wait(20)
        if self.raw is not None:
            return self.raw
        message = strict(words)
        made = Message("ACK", version="2.5.1")
        made.msh.msh_9, made.msh.msh_10 = "ACK^R01^ACK", "1"
        made.add_segment("MSA")
        made.msa.msa_1, made.msa.msa_2 = self.code, self.of or message.msh.msh_10.value
        if self.error:
            made.add_segment("ERR")
            made.err.err_3 = f"{self.error}^^HL70357"
            made.err.err_4, made.err.err_8 = "E", "DOE JANE IS UNKNOWN"
        return str(made.to_mllp())


@contextmanager
def receiver(context: ssl.SSLContext | None = None, encoding: str = "utf-8") -> Iterator[Receiver]:
    """Run a `Receiver` on this machine, over TLS where a context is given."""
    made = Receiver(free_port())

    class Handler(AbstractHandler):
        def reply(self) -> str:
            return made.answer(self.incoming_message)

    class Refused(AbstractErrorHandler):
        def reply(self) -> str:
            raise self.exc

    class Request(MLLPRequestHandler):
        pass

    Request.encoding = encoding

    class Server(MLLPServer):
        daemon_threads = True

        def get_request(self) -> Any:
            connection, address = super().get_request()
            return (context.wrap_socket(connection, server_side=True) if context else connection), address

        def handle_error(self, *_: Any) -> None:
            """A handshake that fails is what a test wants."""

    handlers = {"ORU^R01^ORU_R01": (Handler,), "ERR": (Refused,)}
    with Server("127.0.0.1", made.port, handlers, request_handler_class=Request) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield made
        finally:
            made.gone.set()
            server.shutdown()
            thread.join(10)
