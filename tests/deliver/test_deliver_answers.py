"""Answers of a service that cost more than they say: too large, packed, without an end, a byte now and then."""

from __future__ import annotations

import gzip
import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from deliver_cases import result, service
from deliver_web import answer, destination, send
from worded import said

from xrv_node import http_session
from xrv_node.deliver.attempt import Outcome
from xrv_node.deliver.web import WebSender
from xrv_node.errors import DestinationError

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/dicom+json\r\n"
Say = Callable[[socket.socket, threading.Event], None]


@contextmanager
def speaker(say: Say) -> Iterator[int]:
    """A service that says what it wants to whoever connects; yields its port."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def one(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                say(connection, over)

        def listen() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=listen, daemon=True).start()
        yield listener.getsockname()[1]
        over.set()
        listener.shutdown(socket.SHUT_RDWR)


BOMB = gzip.compress(bytes(64 << 20))


def packed(connection: socket.socket, _over: threading.Event) -> None:
    body = BOMB
    connection.sendall(HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def endless(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    while not over.is_set():
        connection.sendall(b"10000\r\n" + bytes(1 << 16) + b"\r\n")


def without_a_length(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(HEAD + b"\r\n")
    while not over.is_set():
        connection.sendall(b" " * (1 << 16))


def dripping(start: bytes) -> Say:
    def say(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(start)
        while not over.wait(0.05):
            connection.sendall(b"x")

    return say


@pytest.fixture(autouse=True)
def _a_fast_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time that an object takes on its way there is not waited for."""
    monkeypatch.setattr(http_session, "SLOWEST", 1 << 30)


LATE = "no answer in time; see `timeout_seconds`"
TOO_MUCH = "its answer has more than 256 KiB, or is compressed"


@pytest.mark.parametrize(
    ("say", "reason"),
    [
        (packed, TOO_MUCH),
        (endless, TOO_MUCH),
        (without_a_length, TOO_MUCH),
        (dripping(HEAD + b"Content-Length: 1000000\r\n\r\n"), LATE),
        (dripping(HEAD + b"\r\n"), LATE),
        (dripping(HEAD), LATE),
        (dripping(b""), LATE),
        (lambda _, over: over.wait(), LATE),
    ],
    ids=["packed", "endless", "no length", "body", "body without length", "header", "status", "silent"],
)
def test_an_answer_is_taken_within_a_size_and_a_time(tmp_path: Path, say: Say, reason: str) -> None:
    with speaker(say) as port:
        tracemalloc.start()
        try:
            attempt = send(port, result(tmp_path), timeout_seconds=0.5)
            assert tracemalloc.get_traced_memory()[1] < 4 << 20
        finally:
            tracemalloc.stop()
        assert (attempt.outcome, said(attempt.reason)) == (Outcome.TRANSIENT, reason)
        with pytest.raises(DestinationError, match=r"in time|more than 256 KiB"):
            WebSender(destination(port, timeout_seconds=0.5), "X").check()


def test_a_handshake_that_drips_is_not_waited_for(tmp_path: Path) -> None:
    with speaker(dripping(b"\x16\x03\x03\x40\x00\x02")) as port:
        attempt = send(port, result(tmp_path), "https", timeout_seconds=0.5)
        assert (attempt.outcome, said(attempt.reason)) == (Outcome.TRANSIENT, LATE)


def test_a_service_that_takes_nothing_is_not_waited_for(tmp_path: Path) -> None:
    """What is to be sent is larger than what the system's buffers hold."""
    stored = result(tmp_path)
    with stored.path.open("ab") as file:
        file.write(b"\xfc\xff\xfc\xffOB\0\0" + (1 << 24).to_bytes(4, "little") + bytes(1 << 24))

    def some(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(1024)
        over.wait()

    with speaker(some) as port:
        assert said(send(port, stored, timeout_seconds=0.5).reason) == LATE


def test_a_proxy_is_used_where_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = result(tmp_path)
    monkeypatch.setenv("no_proxy", "*")  # the configuration counts
    with service() as proxy:
        proxy.body = answer(stored)
        attempt = send(1, stored, url="http://pacs.example/dicom-web", proxy=f"http://127.0.0.1:{proxy.port}")
        assert attempt.outcome == Outcome.DELIVERED
        assert [path for path, *_ in proxy.requests] == ["http://pacs.example/dicom-web/studies"]


def test_https_goes_through_a_proxy_as_a_tunnel(tmp_path: Path) -> None:
    asked: list[bytes] = []

    def refuse(connection: socket.socket, _over: threading.Event) -> None:
        asked.append(connection.recv(4096))
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")

    with speaker(refuse) as port:
        attempt = send(1, result(tmp_path), url="https://pacs.example/x", proxy=f"http://127.0.0.1:{port}")
        assert attempt.outcome == Outcome.TRANSIENT
    assert asked[0].startswith(b"CONNECT pacs.example:443 ")
    assert b"Zebrafinch" not in asked[0]


def test_a_connection_is_kept_from_answer_to_answer(tmp_path: Path) -> None:
    """And one that was ended for its time is not."""
    with service() as web:
        stored = result(tmp_path)
        web.body = answer(stored)
        sender = WebSender(destination(web.port, timeout_seconds=0.5), "X")
        for seconds, outcome in ((0, "delivered"), (0, "delivered"), (5, "transient"), (0, "delivered")):
            web.seconds = seconds
            assert [a.outcome.value for a in sender.send([stored])] == [outcome]
        sender.close()
        assert len(web.connections) == 2
