"""Clients that take for ever, ask too much at once, or are too many: by sockets, as no library would."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from certificates import pair
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from serving import wait

from xrv_node.db.store import Store
from xrv_node.settings import Settings
from xrv_node.spool import Spool
from xrv_node.web import server as web
from xrv_node.web.connection import MAX_HEADER_BYTES
from xrv_node.web.node import WebNode

SHORT = 0.3
"""Seconds of every deadline here."""
GET = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"


def with_a_sink(app: FastAPI) -> FastAPI:
    """Two more addresses: what takes any body, and what never ends."""

    @app.post("/sink")
    async def sink(request: Request) -> str:
        return str(sum([len(piece) async for piece in request.stream()]))

    @app.get("/spring")
    async def spring() -> StreamingResponse:
        return StreamingResponse(iter(lambda: b"\0" * 65536, b""))

    return app


@contextmanager
def serving(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch, **keys: Any
) -> Iterator[web.WebServer]:
    """A server with these keys of ``[web]``."""
    application = web.application
    monkeypatch.setattr(web, "application", lambda node: with_a_sink(application(node)))
    settings = Settings(node={"data_dir": folder}, web={"enabled": True, "port": 0, **keys})
    with web.start(WebNode(settings, store, Spool(folder))) as server:
        yield server


@pytest.fixture
def hasty(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[web.WebServer]:
    """One that waits for nobody."""
    keys = dict.fromkeys(("header_seconds", "idle_seconds", "body_seconds"), SHORT)
    with serving(store, tmp_path, monkeypatch, **keys) as server:
        yield server


def connect(server: web.WebServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.server_port), 20)


def everything(connection: socket.socket) -> bytes:
    """What comes until the other side ends it."""
    found = b""
    with suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            found += piece
    return found


def dripping(connection: socket.socket, drop: bytes, first: bytes = b"") -> None:
    connection.sendall(first)
    while True:
        connection.sendall(drop)
        time.sleep(SHORT / 10)


def answers(server: web.WebServer) -> bool:
    with connect(server) as good:
        good.sendall(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        return b"200 OK" in everything(good)


def test_who_asks_nothing_is_let_go(hasty: web.WebServer) -> None:
    with connect(hasty) as silent:
        assert everything(silent).startswith(b"HTTP/1.1 408")
    assert answers(hasty)


@pytest.mark.parametrize("drop", [b"G", b"GET / HTTP/1.1\r\n", b"X: y\r\n"])
def test_a_header_that_drips_is_not_waited_for(hasty: web.WebServer, drop: bytes) -> None:
    """Each byte comes before any timeout of a socket is over."""
    with connect(hasty) as slow:
        first = b"GET /health/live HTTP/1.1\r\n" if drop.startswith(b"X") else b""
        with pytest.raises(OSError, match=r"Broken pipe|reset"):
            dripping(slow, drop, first)
    assert answers(hasty)


@pytest.mark.parametrize("length", [b"Content-Length: 1000000", b"Transfer-Encoding: chunked"])
@pytest.mark.parametrize("body", [b"", b"5\r\nabc"])
def test_half_a_body_is_not_waited_for(hasty: web.WebServer, length: bytes, body: bytes) -> None:
    with connect(hasty) as slow:
        slow.sendall(b"POST /sink HTTP/1.1\r\nHost: localhost\r\n" + length + b"\r\n\r\n" + body)
        assert b"408" in everything(slow)
    assert answers(hasty)


def test_a_body_that_drips_is_not_waited_for(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(store, tmp_path, monkeypatch, body_seconds=SHORT, min_kb_per_second=100) as server:
        with connect(server) as slow, pytest.raises(OSError, match=r"Broken pipe|reset"):
            dripping(slow, b"x", b"POST /sink HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n")
        assert answers(server)


def test_a_body_that_is_only_long_is_taken(hasty: web.WebServer) -> None:
    """Slower than the deadline as a whole, never silent, and quick enough."""
    with connect(hasty) as steady:
        steady.sendall(
            b"POST /sink HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 80000\r\n\r\n"
        )
        for _ in range(8):
            steady.sendall(b"x" * 10000)
            time.sleep(SHORT / 4)
        assert b"80000" in everything(steady)


def test_who_reads_nothing_is_let_go(hasty: web.WebServer) -> None:
    with connect(hasty) as deaf:
        deaf.sendall(b"GET /spring HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait(lambda: hasty.crowd.size, 10, "the connection to be there")
        wait(lambda: not hasty.crowd.size, 20, "the connection to be gone")
    assert answers(hasty)


def test_who_asks_again_in_time_keeps_its_connection(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {"header_seconds": SHORT, "idle_seconds": 60}
    with serving(store, tmp_path, monkeypatch, **keys) as server:
        kept = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
        kept.connect()
        its = kept.sock
        for _ in range(3):
            kept.request("GET", "/health/live")
            assert kept.getresponse().read() == b"alive\n"
            time.sleep(SHORT * 1.5)  # longer than a header may take: nothing was begun
        assert kept.sock is its
        kept.close()


def header_of(size: int) -> bytes:
    return GET[:-2] + b"X: " + b"y" * size + b"\r\n\r\n"


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(header_of(MAX_HEADER_BYTES + 1), id="a header that comes at once"),
        pytest.param(header_of(2_000_000), id="one of 2 MB"),
        pytest.param(GET[:-2] + b"A: b\r\n" * 50_000 + b"\r\n", id="50,000 fields"),
        pytest.param(GET.replace(b"/live", b"/" + b"l" * 1_000_000), id="an address of 1 MB"),
        pytest.param(GET.replace(b"Host", b"Ho st"), id="no HTTP"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00", id="TLS"),
    ],
)
def test_headers_that_are_too_long_or_none_are_refused(hasty: web.WebServer, request_: bytes) -> None:
    with connect(hasty) as rude:
        threading.Thread(target=lambda: _sent(rude, request_), daemon=True).start()
        status = everything(rude)[9:12]
        assert status in (b"400", b"408", b"431", b"")  # the last where we hang up while it still speaks
    assert answers(hasty)


def _sent(connection: socket.socket, data: bytes) -> None:
    with suppress(OSError):
        connection.sendall(data)


@pytest.mark.parametrize("keys", [{"max_connections": 3}, {"max_connections_per_address": 3}], ids=str)
def test_there_are_so_many_connections(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: dict[str, int]
) -> None:
    with serving(store, tmp_path, monkeypatch, **keys) as server, ExitStack() as stack:
        silent = [stack.enter_context(connect(server)) for _ in range(3)]
        wait(lambda: server.crowd.size == 3, 10, "three connections")
        assert everything(stack.enter_context(connect(server))) == b""
        for each in silent:
            each.close()
        wait(lambda: not server.crowd.size, 10, "the places to be free again")
        assert answers(server)


def test_over_tls_a_handshake_that_is_not_made_ends_too(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = pair(tmp_path, "node")
    files = {"certificate": own.certificate, "key": own.key}
    with serving(store, tmp_path, monkeypatch, header_seconds=SHORT, tls=files) as server:
        with connect(server) as silent:
            assert everything(silent) == b""
        trusting = ssl.create_default_context(cafile=str(own.certificate))
        trusting.check_hostname = False
        with trusting.wrap_socket(connect(server)) as good:
            good.sendall(GET)
            assert b"alive" in good.recv(65536) + good.recv(65536)


def test_it_ends_though_answers_are_under_way(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "DRAIN_SECONDS", 1)
    with ExitStack() as stack:
        server = stack.enter_context(serving(store, tmp_path, monkeypatch))
        endless = stack.enter_context(connect(server))
        endless.sendall(b"GET /spring HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert endless.recv(10)
