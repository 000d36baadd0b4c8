"""Destinations over TLS."""

from __future__ import annotations

from pathlib import Path

import pytest
from certificates import Pair, pair
from deliver_cases import result, service
from deliver_peer import Peer, destination, only
from deliver_web import answer, send
from worded import said

from xrv_node.deliver.attempt import Outcome
from xrv_node.deliver.dimse import DimseSender
from xrv_node.errors import ConfigError


def test_mutual_tls(tmp_path: Path, peer: Peer) -> None:
    own, node, other = pair(tmp_path, "peer"), pair(tmp_path, "node"), pair(tmp_path, "other")
    peer.start(context=own.context(trusted=node))
    good = {"ca": own.certificate, "certificate": node.certificate, "key": node.key}
    sender = DimseSender(destination(peer.port, tls=good), "XRVNODE")
    assert only(sender.send([result(tmp_path)])).outcome == Outcome.DELIVERED
    sender.close()
    for files, words in (
        (good | {"ca": other.certificate}, "its certificate does not hold (self-signed certificate)"),
        (good | {"certificate": other.certificate, "key": other.key}, "does it trust our `certificate`?"),
        ({"ca": own.certificate}, "does it trust our `certificate`?"),
    ):
        attempt = only(DimseSender(destination(peer.port, tls=files), "XRVNODE").send([result(tmp_path)]))
        assert attempt.outcome == Outcome.TRANSIENT
        assert said(attempt.reason).startswith(f"no TLS with ARCHIVE at 127.0.0.1:{peer.port}: ")
        assert words in said(attempt.reason)
    assert (
        only(DimseSender(destination(peer.port), "X").send([result(tmp_path)])).outcome == Outcome.TRANSIENT
    )
    assert len(peer.received) == 1


def test_a_peer_without_tls_is_told_from_one_that_is_down(tmp_path: Path, peer: Peer) -> None:
    peer.start()
    files = {"ca": pair(tmp_path, "peer").certificate}
    attempt = only(DimseSender(destination(peer.port, tls=files), "X").send([result(tmp_path)]))
    assert "the peer does not speak TLS there" in said(attempt.reason)
    attempt = only(DimseSender(destination(1, tls=files), "X").send([result(tmp_path)]))
    assert said(attempt.reason).endswith("is it running and reachable?")


def test_the_host_name_is_checked_unless_told_otherwise(tmp_path: Path, peer: Peer) -> None:
    own = pair(tmp_path, "peer", "DNS:other.example")
    peer.start(context=own.context())
    attempt = only(
        DimseSender(destination(peer.port, tls={"ca": own.certificate}), "X").send([result(tmp_path)])
    )
    assert "IP address mismatch" in said(attempt.reason)
    loose = {"ca": own.certificate, "verify_host": False}
    assert DimseSender(destination(peer.port, tls=loose, send=["seg"]), "X").check()[0] == "C-ECHO: 0x0000"


def test_a_file_of_tls_that_is_missing_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"destinations\.pacs\.tls\.ca: .*absent\.crt cannot be read"):
        DimseSender(destination(1, tls={"ca": tmp_path / "absent.crt"}), "X")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Pair, Pair, Pair]:
    """Of the service, of the node, and of a service under another name."""
    directory = tmp_path_factory.mktemp("pki")
    return pair(directory, "service"), pair(directory, "node"), pair(directory, "other", "DNS:other.example")


def test_mutual_tls_of_a_web_service(tmp_path: Path, pairs: tuple[Pair, Pair, Pair]) -> None:
    own, node, other = pairs
    stored = result(tmp_path)
    tls = {"ca": own.certificate, "certificate": node.certificate, "key": node.key}
    with service(own.context(trusted=node)) as web:
        web.body = answer(stored)
        assert send(web.port, stored, "https", tls=tls).outcome == Outcome.DELIVERED
        for wrong in (
            {},
            {"ca": own.certificate},
            tls | {"ca": other.certificate},
            tls | {"certificate": other.certificate, "key": other.key},
        ):
            assert send(web.port, stored, "https", tls=wrong).outcome == Outcome.TRANSIENT
        assert len(web.requests) == 1


def test_the_host_name_of_a_web_service_is_checked_unless_told_otherwise(
    tmp_path: Path, pairs: tuple[Pair, Pair, Pair]
) -> None:
    other = pairs[2]
    stored = result(tmp_path)
    with service(other.context()) as web:
        web.body = answer(stored)
        attempt = send(web.port, stored, "https", tls={"ca": other.certificate})
        assert said(attempt.reason).startswith("no TLS: see `ca`, `verify_host`")
        loose = {"ca": other.certificate, "verify_host": False}
        assert send(web.port, stored, "https", tls=loose).outcome == Outcome.DELIVERED
