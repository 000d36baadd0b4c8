"""Health and metrics over HTTP: the standard library's server, three addresses, nothing to write to."""

from __future__ import annotations

import hmac
import socket
import threading
from collections.abc import Iterable
from contextlib import suppress
from http import HTTPStatus
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import structlog
from prometheus_client import CollectorRegistry, make_wsgi_app

from xrv_node import disk, role_locks
from xrv_node.db.store import Store
from xrv_node.errors import ConfigError
from xrv_node.receive.peer_limits import Crowd
from xrv_node.settings import Settings
from xrv_node.web.metrics import NodeCollector

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

log = structlog.get_logger("web")

IDLE_SECONDS = 10
"""How long a client may take to ask and to read, each byte or all of it."""
MOST, MOST_OF_ONE = 128, 32
"""Connections at once, of all clients and of one address; more are closed. Each is a thread."""


class WebServer(ThreadingMixIn, WSGIServer):
    """A thread a request: a slow reader delays no probe."""

    daemon_threads = True

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.crowd = Crowd()
        super().__init__(*arguments, **options)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection, if there is a place for it, and end it when its time is over: a byte now and
        then ends no timeout."""
        with self.crowd.visit(str(client_address[0]), _crowded) as refused:
            if refused:
                return
            end = threading.Timer(RequestHandler.timeout, _shut, [request])
            end.daemon = True
            end.start()
            try:
                super().finish_request(request, client_address)
            finally:
                end.cancel()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is too slow or goes away; what breaks in the application is answered there."""
        log.debug("a client broke off")


class RequestHandler(WSGIRequestHandler):
    """One connection."""

    timeout = IDLE_SECONDS

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a request line may hold whatever a client wrote."""


def _crowded(everybody: int, its_own: int) -> bool | None:
    return everybody > MOST or its_own > MOST_OF_ONE or None


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def start(settings: Settings, store: Store) -> WebServer:
    """Bind the address; ``serve_forever`` answers.

    Raises
    ------
    ConfigError
        When the address is taken, or the token's file cannot be read or is empty.
    """
    web = settings.web
    app = application(settings, store, token(settings))
    try:
        return make_server(web.host, web.port, app, server_class=WebServer, handler_class=RequestHandler)
    except OSError as error:
        raise ConfigError(
            f"web.host, web.port: cannot listen on {web.host}:{web.port} ({error.strerror}); "
            "choose another or stop what listens there"
        ) from error


def token(settings: Settings) -> str | None:
    """What a client must show to read the metrics, if anything.

    Raises
    ------
    ConfigError
        When the file cannot be read or is empty.
    """
    file = settings.web.token_file
    if file is None:
        return None
    try:
        found = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not ASCII"
        raise ConfigError(f"web.token_file: {file} cannot be read ({why})") from error
    if not found:
        raise ConfigError(f"web.token_file: {file} is empty; write a long random word into it")
    return found


def application(settings: Settings, store: Store, token: str | None = None) -> WSGIApplication:
    """The three addresses as a WSGI application.

    ``/health/live`` and ``/health/ready`` answer 200 or 503 with a sentence and are open to whoever reaches
    the port, for probes that cannot send headers; ``/metrics`` asks for ``Authorization: Bearer`` and the
    token, where there is one (RFC 6750 section 2.1).
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(NodeCollector(settings, store))
    metrics: WSGIApplication = make_wsgi_app(registry)

    def live(environ: WSGIEnvironment, answer: StartResponse) -> Iterable[bytes]:
        return _say(answer, HTTPStatus.OK, "alive")

    def ready(environ: WSGIEnvironment, answer: StartResponse) -> Iterable[bytes]:
        why = not_ready(settings, store)
        return _say(answer, HTTPStatus.SERVICE_UNAVAILABLE if why else HTTPStatus.OK, why or "ready")

    def guarded(environ: WSGIEnvironment, answer: StartResponse) -> Iterable[bytes]:
        shown = environ.get("HTTP_AUTHORIZATION", "").encode("latin-1", "replace")
        if token is not None and not hmac.compare_digest(shown, f"Bearer {token}".encode()):
            return _say(
                answer, HTTPStatus.UNAUTHORIZED, "a token is needed", [("WWW-Authenticate", "Bearer")]
            )
        return metrics(environ, answer)

    routes = {"/health/live": live, "/health/ready": ready, "/metrics": guarded}

    def app(environ: WSGIEnvironment, answer: StartResponse) -> Iterable[bytes]:
        route = routes.get(environ["PATH_INFO"])
        if route is None:
            return _say(answer, HTTPStatus.NOT_FOUND, f"there are {', '.join(routes)}")
        if environ["REQUEST_METHOD"] != "GET":
            return _say(answer, HTTPStatus.METHOD_NOT_ALLOWED, "GET only", [("Allow", "GET")])
        try:
            return route(environ, answer)
        except Exception:
            log.exception("could not answer", path=environ["PATH_INFO"])
            return _say(answer, HTTPStatus.SERVICE_UNAVAILABLE, "the database does not answer; see the log")

    return app


def not_ready(settings: Settings, store: Store) -> str | None:
    """Why the node would not take an object and answer for it now; None when it would."""
    try:
        store.require_current()
    except ConfigError:
        return "the database does not answer or has another schema; see the log"
    if why := disk.why_paused(settings, store):
        return str(why)
    missing = [role for role in role_locks.ROLES if not role_locks.holders(settings.data_dir, role)]
    return f"not running: {', '.join(missing)}" if missing else None


def _say(
    answer: StartResponse, status: HTTPStatus, text: str, headers: Iterable[tuple[str, str]] = ()
) -> list[bytes]:
    answer(f"{status.value} {status.phrase}", [("Content-Type", "text/plain; charset=utf-8"), *headers])
    return [text.encode() + b"\n"]
