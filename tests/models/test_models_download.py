"""Downloading, against an HTTP server on this machine that breaks off, answers with pages, or has another file."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from xrv_node.errors import WeightsError
from xrv_node.models import catalog, download

CONTENT = bytes(range(256)) * 20_000
OTHER = CONTENT[::-1]
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves ``content``; ``requests`` are the (path, Range header) that it was asked for."""

    content, tag, breaks, status, ranges, page = CONTENT, '"v1"', 0, 200, True, b""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests = []

    def url(self, path="/w.pt"):
        return f"http://127.0.0.1:{self.server_port}{path}"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        site, wanted = self.server, self.headers["Range"]
        site.requests.append((self.path, wanted))
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", site.url())
            self.end_headers()
            return
        if self.path == "/local":
            self.send_response(302)
            self.send_header("Location", "file:///etc/hostname")
            self.end_headers()
            return
        if site.status != 200:
            self.send_error(site.status)
            return
        body, start = site.page or site.content, 0
        if wanted and site.ranges and self.headers.get("If-Range", site.tag) == site.tag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(body):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        if site.tag:
            self.send_header("ETag", site.tag)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        rest = body[start:]
        if site.breaks:
            site.breaks -= 1
            rest = rest[: len(rest) // 2]
        self.wfile.write(rest)


@pytest.fixture
def servers(monkeypatch):
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    pair = [Server(), Server()]
    for server in pair:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield pair
    for server in pair:
        server.shutdown()
        server.server_close()


@pytest.fixture
def server(servers):
    return servers[0]


def entry(server, mirror=None, **changes):
    values = {"url": server.url(), "mirror": mirror and mirror.url(), "sha256": DIGEST, "bytes": len(CONTENT)}
    return replace(catalog.find("nih"), file="w.pt", **values | changes)


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def test_whole_file_with_progress(server, tmp_path):
    seen = []
    path = download.fetch(entry(server), tmp_path, lambda received, total: seen.append((received, total)))
    assert path.read_bytes() == CONTENT
    assert names(tmp_path) == ["w.pt"]
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert len(seen) > 2


def test_redirects_are_followed_but_not_to_files(server, tmp_path):
    assert download.fetch(entry(server, url=server.url("/moved")), tmp_path).read_bytes() == CONTENT
    with pytest.raises(WeightsError, match="could not be downloaded"):
        download.fetch(entry(server, url=server.url("/local")), tmp_path)


def test_broken_connection_is_continued(server, tmp_path):
    server.breaks = 2
    assert download.fetch(entry(server), tmp_path).read_bytes() == CONTENT
    half = len(CONTENT) // 2
    assert [wanted for _, wanted in server.requests] == [None, f"bytes={half}-", f"bytes={half + half // 2}-"]


def test_part_of_an_earlier_run_is_continued(server, tmp_path):
    server.breaks = download.ATTEMPTS
    with pytest.raises(WeightsError, match="the connection ended after"):
        download.fetch(entry(server), tmp_path)
    have = (tmp_path / "w.pt.part").stat().st_size
    assert 0 < have < len(CONTENT)
    assert download.fetch(entry(server), tmp_path).read_bytes() == CONTENT
    assert server.requests[-1] == ("/w.pt", f"bytes={have}-")


def test_changed_file_is_not_mixed_with_its_part(server, tmp_path):
    server.breaks = download.ATTEMPTS
    unpinned = entry(server, sha256=None, bytes=None)
    with pytest.raises(WeightsError):
        download.fetch(unpinned, tmp_path)
    server.content, server.tag = OTHER, '"v2"'
    assert download.fetch(unpinned, tmp_path).read_bytes() == OTHER


def test_part_that_nothing_vouches_for_is_begun_anew(server, tmp_path):
    server.tag = ""
    (tmp_path / "w.pt.part").write_bytes(OTHER[:1000])
    (tmp_path / "w.pt.part.source").write_text(f"{server.url()}\n")
    assert download.fetch(entry(server, sha256=None, bytes=None), tmp_path).read_bytes() == CONTENT


def test_server_without_ranges_sends_all_again(server, tmp_path):
    server.ranges, server.breaks = False, 1
    assert download.fetch(entry(server), tmp_path).read_bytes() == CONTENT


def test_part_that_is_too_long_is_begun_anew(server, tmp_path):
    (tmp_path / "w.pt.part").write_bytes(CONTENT + b"more")
    (tmp_path / "w.pt.part.source").write_text(f'{server.url()}\n"v1"')
    assert download.fetch(entry(server), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"status": 404}, "HTTP 404"),
        ({"page": b"<html>sign in</html>"}, "web page|offers"),
        ({"content": OTHER}, "SHA-256"),
        ({"content": OTHER[:100]}, "offers 100 bytes"),
    ],
)
def test_mirror_takes_over(fault, words, servers, tmp_path):
    first, mirror = servers
    for key, value in fault.items():
        setattr(first, key, value)
    with pytest.raises(WeightsError, match=words):
        download.fetch(entry(first), tmp_path)
    assert not (tmp_path / "w.pt").exists()
    assert download.fetch(entry(first, mirror), tmp_path).read_bytes() == CONTENT
    assert names(tmp_path) == ["w.pt"]


def test_web_page_is_recognised_without_digest(server, tmp_path):
    server.page = b"\n <!DOCTYPE html>"
    with pytest.raises(WeightsError, match="it answered with a web page"):
        download.fetch(entry(server, sha256=None, bytes=None), tmp_path)
    assert "w.pt" not in names(tmp_path)


def test_nobody_answers(servers, tmp_path):
    for server in servers:
        server.shutdown()
        server.server_close()
    with pytest.raises(
        WeightsError, match=r"127.0.0.1.*refused.*; 127.0.0.1.*check the connection and https_proxy"
    ):
        download.fetch(entry(*servers), tmp_path)


def test_proxies_of_the_environment_are_used(servers, tmp_path, monkeypatch):
    proxy, _ = servers
    monkeypatch.setenv("http_proxy", proxy.url(""))
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    path = download.fetch(entry(proxy, url="http://weights.invalid/w.pt"), tmp_path)
    assert path.read_bytes() == CONTENT
    assert proxy.requests == [("http://weights.invalid/w.pt", None)]


def test_full_disk_is_said_before_it_is_full(server, tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 1000})()
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(WeightsError, match=r"has 1000 free: make room there"):
        download.fetch(entry(server), tmp_path)
