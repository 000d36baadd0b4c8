"""The server: a socket, TLS, connections that end, and the application behind them."""

from __future__ import annotations

import asyncio
import socket
import threading
from time import monotonic

import uvicorn
from fastapi import FastAPI

from xrv_node import tls
from xrv_node.errors import ConfigError
from xrv_node.receive.peer_limits import Crowd
from xrv_node.settings.web import WebSection
from xrv_node.web.app import application
from xrv_node.web.connection import MAX_HEADER_BYTES, Connection
from xrv_node.web.node import WebNode

DRAIN_SECONDS = 5
"""For what is being answered when the process is told to stop."""


class _Uvicorn(uvicorn.Server):
    """Makes our connections, and looks at each ten times a second."""

    def __init__(self, app: FastAPI, web: WebSection) -> None:
        config = uvicorn.Config(
            app,
            http=Connection,
            ws="none",
            lifespan="on",
            log_config=None,
            log_level="critical",  # what breaks is logged where it is answered
            access_log=False,
            server_header=False,
            proxy_headers=False,
            h11_max_incomplete_event_size=MAX_HEADER_BYTES,
            timeout_keep_alive=max(1, round(web.idle_seconds)),
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
        super().__init__(config)
        self.web, self.crowd = web, Crowd()
        self.context = tls.server_context(web.tls, "web.tls") if web.tls else None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen; uvicorn's own gives a handshake a minute."""
        await self.lifespan.startup()
        loop = asyncio.get_running_loop()
        self.servers = [
            await loop.create_server(
                self._connection,
                sock=listening,
                ssl=self.context,
                ssl_handshake_timeout=self.web.header_seconds if self.context else None,
            )
            for listening in sockets or ()
        ]
        self.started = True

    def _connection(self) -> Connection:
        return Connection(
            limits=self.web,
            crowd=self.crowd,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )

    async def on_tick(self, counter: int) -> bool:
        """End what takes too long."""
        for connection in tuple(self.server_state.connections):
            if isinstance(connection, Connection):
                connection.look(monotonic())
        return await super().on_tick(counter)


class WebServer:
    """A bound socket; within ``with`` its connections are answered, by a thread."""

    def __init__(self, listening: socket.socket, uvicorns: _Uvicorn) -> None:
        self._uvicorn = uvicorns
        self._thread = threading.Thread(target=uvicorns.run, args=([listening],), name="web")
        self.server_port: int = listening.getsockname()[1]
        self.crowd = uvicorns.crowd
        """Its connections."""

    def __enter__(self) -> WebServer:
        self._thread.start()
        return self

    def __exit__(self, *_how: object) -> None:
        """Take no more connections; those in hand have `DRAIN_SECONDS`."""
        self._uvicorn.should_exit = True
        self._thread.join()


def start(node: WebNode) -> WebServer:
    """Bind the address; within ``with`` it is answered.

    Raises
    ------
    ConfigError
        When the address is taken, or a file of TLS is missing or wrong.
    """
    web = node.settings.web
    server = _Uvicorn(application(node), web)
    try:
        listening = socket.create_server(
            (web.host, web.port), family=_family(web.host), backlog=min(1024, web.max_connections)
        )
    except OSError as error:
        # `create_server` says the address a second time
        why = (error.strerror or str(error)).partition(" (while attempting")[0]
        raise ConfigError(
            f"web.host, web.port: cannot listen on {web.host}:{web.port} ({why}); "
            "choose another or stop what listens there"
        ) from error
    # Its connections inherit it: asyncio sets it on none whose socket does not say that it is of TCP.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return WebServer(listening, server)


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
