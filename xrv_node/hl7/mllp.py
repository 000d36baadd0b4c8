"""Messages over TCP, each answered: the Minimal Lower Layer Protocol (HL7 v2.5.1, appendix C.4.3)."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

START, END = b"\x0b", b"\x1c\r"
"""Around a message."""
MAX_ANSWER = 1 << 16
"""Bytes of an acknowledgement, which has some hundred."""
_CHUNK = 4096


class NoAnswerError(OSError):
    """The peer ended the connection before its answer was whole."""


class BrokenAnswerError(Exception):
    """What came is no message in a block, or is too long."""


class Connection:
    """A connection to one peer, made when it is needed and kept for the next message.

    Parameters
    ----------
    connect
        Makes one within so many seconds; what it raises, `ask` does.
    seconds
        For a message and its answer, connecting included.
    """

    def __init__(self, connect: Callable[[float], socket.socket], seconds: float) -> None:
        self._connect, self._seconds = connect, seconds
        self._socket: socket.socket | None = None

    def ask(self, message: bytes) -> bytes:
        """Send a message and wait for the answer.

        Many peers end the connection after each answer, so that one that was kept is given up without a word
        and the message sent anew: its control ID is the same.

        Raises
        ------
        OSError
            When none comes: not reached, ended, ``TimeoutError`` or ``ssl.SSLError``.
        BrokenAnswerError
            When something else does.
        """
        until, kept = monotonic() + self._seconds, self._socket is not None
        try:
            try:
                return self._exchange(message, until)
            except (NoAnswerError, ConnectionError, ssl.SSLEOFError):
                self.close()
                if not kept:
                    raise
                return self._exchange(message, until)
        except BaseException:
            self.close()
            raise

    @property
    def is_open(self) -> bool:
        """Whether one is kept for the next message."""
        return self._socket is not None

    def close(self) -> None:
        """End the connection, if there is one."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.close()
        self._socket = None

    def _exchange(self, message: bytes, until: float) -> bytes:
        if self._socket is None:
            self._socket = self._connect(_left(until))
        self._socket.settimeout(_left(until))
        self._socket.sendall(START + message + END)
        got = bytearray()
        while not got.endswith(END):
            self._socket.settimeout(_left(until))
            piece = self._socket.recv(_CHUNK)
            if not piece:
                if got:
                    raise BrokenAnswerError("it ended in the middle")
                raise NoAnswerError("no answer")
            got += piece
            if not got.startswith(START):
                raise BrokenAnswerError("it does not begin as a block")
            if len(got) > MAX_ANSWER:
                raise BrokenAnswerError("it is too long")
        return bytes(got[len(START) : -len(END)])


def _left(until: float) -> float:
    if (seconds := until - monotonic()) <= 0:
        raise TimeoutError("no answer in time")
    return seconds
