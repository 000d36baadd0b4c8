"""HTTP to services of the site: straight there, answered within a size and a time, and nothing unpacked.

What is written in the configuration is what is done: no proxy, netrc or authorities of the environment's.
"""

from __future__ import annotations

import io
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

SLOWEST = 16 << 10
"""Bytes a second at which a request may be taken at least: an ISDN line of 128 kbit/s."""
_CHUNK = 1 << 16


class AnswerError(requests.RequestException):
    """An answer that is larger than any to the question, or packed though it was not to be."""


def session(
    context: ssl.SSLContext,
    *,
    seconds: float,
    most: Callable[[], int],
    proxy: str | None = None,
    keep: Callable[[], IO[bytes]] = io.BytesIO,
) -> requests.Session:
    """Make a session for one thread and one service.

    Parameters
    ----------
    context
        For https.
    seconds
        For the whole of a request, from the first byte to the last of its answer; the time that its body
        takes at `SLOWEST` comes on top.
    most
        How many bytes of body the next answer may have.
    proxy
        URL of the proxy that the site wants used.
    keep
        Makes what the body of an answer is kept in: a file, where it may be large.

    Returns
    -------
    requests.Session
        It raises `AnswerError` for an answer that is too large or packed, ``requests.Timeout`` for one that
        does not come in time, and follows no redirect.
    """
    made = requests.Session()
    made.trust_env = False
    made.max_redirects = 0  # to the configured address and to no other
    made.headers["Accept-Encoding"] = "identity"
    made.proxies = {"http": proxy, "https": proxy} if proxy else {}
    adapter = _Bounded(context, seconds, most, keep)
    made.mount("https://", adapter)
    made.mount("http://", adapter)
    return made


class _Bounded(HTTPAdapter):
    """Requests with an end, and answers of a size, over connections with our own context."""

    def __init__(
        self, context: ssl.SSLContext, seconds: float, most: Callable[[], int], keep: Callable[[], IO[bytes]]
    ) -> None:
        self._context, self._seconds, self._most, self._keep = context, seconds, most, keep
        self._handles = _Handles()
        super().__init__()

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
        """As the base class, which has no parameter for it."""
        super().init_poolmanager(connections, maxsize, block, **self._secured(options))
        self.poolmanager.pool_classes_by_scheme = _pools(self._handles)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """As the base class."""
        manager = super().proxy_manager_for(proxy, **self._secured(options))
        manager.pool_classes_by_scheme = _pools(self._handles)
        return manager

    def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:
        """Send a request and read its answer."""
        options["stream"] = True  # what comes is read here
        body = request.body if isinstance(request.body, bytes) else b""
        with self._within(self._seconds + len(body) / SLOWEST):
            response = super().send(request, *arguments, **options)
            response.raw = self._body(response)
        return response

    def close(self) -> None:
        """Close the connections."""
        super().close()
        self._handles.sweep()

    def _secured(self, options: dict[str, Any]) -> dict[str, Any]:
        own = {} if self._context.check_hostname else {"assert_hostname": False}
        return options | {"ssl_context": self._context} | own

    def _body(self, response: requests.Response) -> IO[bytes]:
        raw, most, kept, size = response.raw, self._most(), self._keep(), 0
        try:
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise AnswerError("packed", response=response)
            while piece := raw.read(_CHUNK, decode_content=False):
                kept.write(piece)
                size += len(piece)
                if size > most:
                    raise AnswerError("too large", response=response)
        except BaseException:
            raw.close()  # the rest of it is not waited for
            kept.close()
            raise
        kept.seek(0)
        return kept

    @contextmanager
    def _within(self, seconds: float) -> Iterator[None]:
        """End the connections when the time is over: a peer that sends a byte now and then ends no timeout of
        a socket."""
        late = threading.Event()

        def end() -> None:
            late.set()
            self._handles.shut()

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        try:
            yield
        except (urllib3.exceptions.HTTPError, OSError) as error:  # requests' own errors are OSErrors
            if late.is_set() or _timed_out(error):
                raise requests.Timeout("not done in time") from error
            if isinstance(error, requests.RequestException):
                raise
            raise requests.ConnectionError(type(error).__name__) from error
        finally:
            timer.cancel()
            self._handles.sweep()
        if late.is_set():
            raise requests.Timeout("not done in time")


def _timed_out(error: BaseException | None) -> bool:
    """Whether it came of a socket's own timeout, which on sending has no class in requests."""
    while error is not None and not isinstance(error, TimeoutError):
        error = error.__context__
    return error is not None


class _Handles:
    """Second handles of the sockets of a session: TLS takes the first ones away, and a connection gives its
    own up to an answer that has no length."""

    def __init__(self) -> None:
        self._open: set[socket.socket] = set()
        self._done: list[socket.socket] = []

    def keep(self, made: socket.socket) -> socket.socket:
        """Make one."""
        handle = made.dup()
        self._open.add(handle)
        return handle

    def give_up(self, handle: socket.socket) -> None:
        """Its connection is closed; an answer may be read from it still."""
        self._done.append(handle)

    def shut(self) -> None:
        """End all connections, from another thread."""
        for each in list(self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def sweep(self) -> None:
        """Close those of closed connections, between requests."""
        while self._done:
            handle = self._done.pop()
            self._open.discard(handle)
            handle.close()


def _pools(handles: _Handles) -> dict[str, type[HTTPConnectionPool]]:
    """Pools whose connections leave a handle of their sockets."""

    class Kept(HTTPConnection):
        handle: socket.socket | None = None

        def _new_conn(self) -> socket.socket:
            made = super()._new_conn()
            self.handle = handles.keep(made)
            return made

        def close(self) -> None:
            super().close()
            if self.handle is not None:
                handles.give_up(self.handle)
                self.handle = None

    class Secured(Kept, HTTPSConnection):
        pass

    class Pool(HTTPConnectionPool):
        ConnectionCls = Kept

    class SecuredPool(HTTPSConnectionPool):
        ConnectionCls = Secured

    return {"http": Pool, "https": SecuredPool}
