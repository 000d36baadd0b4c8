"""A node over HTTP, and a client that can send what no browser or library would."""

from __future__ import annotations

import asyncio
import http.client
import re
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from xrv_node.db import queries
from xrv_node.db.store import Store
from xrv_node.settings import load
from xrv_node.spool import Spool
from xrv_node.web import server, who
from xrv_node.web.access import passwords, tokens, users
from xrv_node.web.node import WebNode

PASSWORD = "correct horse battery staple"
REMOTE = {"X-Forwarded-For": "203.0.113.5", "X-Forwarded-Proto": "https"}
"""As a proxy says of somebody on another machine."""
HERE = {"X-Forwarded-For": "127.0.0.1"}
ROLES = ("sender", "viewer", "operator", "admin")


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    text: str


@dataclass
class Site:
    """A running node, its database, and a token of each role."""

    node: WebNode
    port: int
    tokens: dict[str, str] = field(default_factory=dict)

    def ask(
        self,
        path: str,
        method: str = "GET",
        headers: Mapping[str, str] = REMOTE,
        body: str | None = None,
        *,
        whole: bool = True,
    ) -> Answer:
        """One request, from another machine unless told otherwise; of a stream not the whole answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = {"Host": "node.example"} | headers
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        if body is not None:
            sent |= {"Content-Length": str(len(body))}
            sent = {"Content-Type": "application/x-www-form-urlencoded"} | sent
        for name, value in sent.items():
            connection.putheader(name, value)
        connection.endheaders(body.encode() if body is not None else None)
        answer = connection.getresponse()
        found = Answer(answer.status, answer.headers, answer.read().decode() if whole else "")
        connection.close()
        return found

    def events(self, name: str = "") -> list[tuple[str, str | None, dict[str, object]]]:
        """Event, study and detail of the trail."""
        with self.node.store.read() as db:
            rows = queries.events(db)
            return [(r["event"], r["study"], r["detail"]) for r in rows if not name or r["event"] == name]


class Browser:
    """Keeps cookies as RFC 6265 has them, and sends what a browser says of where a request comes from."""

    def __init__(self, site: Site, headers: Mapping[str, str] = REMOTE) -> None:
        self.site, self.headers = site, dict(headers)
        self.cookies: dict[str, str] = {}
        self.set: list[str] = []

    def ask(
        self, path: str, method: str = "GET", body: Mapping[str, str] | None = None, **more: str
    ) -> Answer:
        sent = self.headers | {
            "Accept": "text/html",
            "Sec-Fetch-Site": "same-origin",
            "Sec-Fetch-Mode": "navigate",
        }
        sent |= {name.replace("_", "-"): value for name, value in more.items()}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = self.site.ask(path, method, sent, None if body is None else urlencode(body))
        self.set = answer.headers.get_all("Set-Cookie") or []
        for line in self.set:
            for name, one in SimpleCookie(line).items():
                self.cookies[name] = one.value
                if one["max-age"] == "0":
                    del self.cookies[name]
        return answer

    def sign_in(self, name: str, password: str = PASSWORD, onward: str = "/") -> Answer:
        shown = re.search(r'name="form" value="([^"]+)"', self.ask("/sign-in").text)
        form = shown[1] if shown else ""
        return self.ask(
            "/sign-in", "POST", {"form": form, "next": onward, "name": name, "password": password}
        )


async def _hold(request: Request) -> Response:
    """Says what came."""
    return PlainTextResponse(f"seen {len(await request.body())}")


async def _go_on(request: Request) -> Response:
    """A stream that ends when it is cut."""

    async def lines() -> AsyncIterator[str]:
        while True:
            yield "x\n"
            await asyncio.sleep(0.01)

    return StreamingResponse(lines())


async def _of_whom(request: Request) -> Response:
    found = who.of(request)
    state = request.state
    return JSONResponse(
        {
            "name": found.name,
            "role": found.role,
            "ae_title": found.ae_title,
            "address": found.address,
            "scheme": request.url.scheme,
            "host": request.headers["host"],
            "csrf": state.csrf,
        }
    )


@contextmanager
def serving(
    folder: Path, empty_database: Path, keys: str = "", *, routes: tuple[str, ...] = ()
) -> Iterator[Site]:
    """A node on a free port. `routes` are answered by the test, before those that there are."""
    shutil.copyfile(empty_database, folder / "audit.sqlite")
    (folder / "node.toml").write_text(
        f'[node]\ndata_dir = "."\n[database]\nurl = "sqlite:///{folder}/audit.sqlite"\n'
        f"[web]\nenabled = true\nport = 0\n{keys}"
    )
    settings = load(folder / "node.toml")
    store = Store(settings.database_url)
    node = WebNode(settings, store, Spool(settings.data_dir))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        passwords._nobodys.cache_clear()
        real = server.application

        def application(node: WebNode) -> FastAPI:
            app = real(node)
            methods = ["GET", "POST"]
            app.router.routes[:0] = [
                Route("/api/v1/whoami", _of_whom),
                Route("/events/endless", _go_on),
                *(Route(path, _hold, methods=methods) for path in routes),
            ]
            return app

        patch.setattr(server, "application", application)
        running = server.start(node)
        with running:
            site = Site(node, running.server_port)
            with store.begin() as db:
                for role in ROLES:
                    site.tokens[role] = tokens.add(db, f"{role}-token", role, role.upper())
                    if role != "sender":
                        users.add(db, role, role, PASSWORD)
            yield site
    store.close()
