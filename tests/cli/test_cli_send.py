"""``send`` to receivers that want TLS, or let in only some; what it advises is done, and suffices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from certificates import Pair, pair
from made import radiograph
from ports import free_port
from typer.testing import CliRunner

from xrv_node import settings
from xrv_node.cli import app
from xrv_node.db import queries
from xrv_node.db.store import Store
from xrv_node.receive import server
from xrv_node.spool import Spool

Start = Callable[..., str]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Pair, Pair, Pair]:
    """Of the node, of a sender, and of a node under another name."""
    directory = tmp_path_factory.mktemp("pki")
    return pair(directory, "node"), pair(directory, "sender"), pair(directory, "other", "DNS:other.example")


@pytest.fixture
def start(store: Store, spool: Spool, tmp_path: Path) -> Iterator[Start]:
    """Start a receiver with these keys of ``[receive]``; returns it as ``--to`` names it."""
    started: list[server.Server] = []

    def one(keys: str = "", tls: str = "") -> str:
        port = free_port()
        config = tmp_path / "node.toml"
        config.write_text(f'[node]\ndata_dir = "."\n[receive]\nport = {port}\n{keys}\n{tls}\n')
        started.append(server.start(settings.load(config), store, spool))
        return f"XRVNODE@127.0.0.1:{port}"

    yield one
    for each in started:
        server.drain(each, 1)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder of two objects that came to some node from two senders, and one that says nothing of it."""
    folder = tmp_path / "found"
    folder.mkdir()
    for number, sender in enumerate(("XRAY1", "XRAY2", None), 1):
        dataset = radiograph(number)
        if sender:
            dataset.file_meta.SourceApplicationEntityTitle = sender
        dataset.save_as(folder / f"{number}.dcm", enforce_file_format=True)
    return folder


def send(*options: object) -> tuple[int, str]:
    """Exit code, and what is said."""
    result = CliRunner().invoke(app, ["send", *map(str, options)])
    return result.exit_code, result.output + str(result.exception or "")


def tls(own: Pair, ca: Pair | None = None) -> str:
    return f'[receive.tls]\ncertificate = "{own.certificate}"\nkey = "{own.key}"\n' + (
        f'ca = "{ca.certificate}"\n' if ca else ""
    )


def callers(store: Store) -> list[str]:
    with store.read() as db:
        return [e["detail"]["calling_ae"] for e in queries.events(db, event="instance.received")]


def test_a_node_with_tls_is_sent_to_with_the_options_that_are_advised(
    start: Start, files: Path, pairs: tuple[Pair, Pair, Pair], tmp_path: Path
) -> None:
    node, sender, other = pairs
    to = start(tls=tls(node, sender))
    strange = ("--certificate", other.certificate, "--key", other.key)
    for options, advice in (
        ((), "does it want TLS (--tls, --ca)"),
        (("--tls",), "its certificate does not hold (self-signed certificate): give --ca its authority"),
        (("--ca", node.certificate), "a certificate of ours that it trusts (--certificate, --key)?"),
        (
            ("--ca", node.certificate, *strange),
            "a certificate of ours that it trusts (--certificate, --key)?",
        ),
    ):
        code, said = send(files, "--to", to, *options)
        assert (code, advice in said) == (1, True), said
    own = ("--certificate", sender.certificate, "--key", sender.key)
    code, said = send(files, "--to", to, "--ca", node.certificate, *own)
    assert (code, "3 of 3 sent" in said) == (0, True), said


def test_a_certificate_of_another_name(start: Start, files: Path, pairs: tuple[Pair, Pair, Pair]) -> None:
    other = pairs[2]
    to = start(tls=tls(other))
    code, said = send(files, "--to", to, "--ca", other.certificate)
    assert (code, "where only the name is another, --no-verify-host" in said) == (1, True), said
    assert send(files, "--to", to, "--ca", other.certificate, "--no-verify-host")[0] == 0


def test_a_node_that_lets_in_only_some(start: Start, files: Path, store: Store, tmp_path: Path) -> None:
    to = start('allowed_calling_ae = ["XRAY1", "XRAY2"]')
    code, said = send(files, "--to", to)
    assert (code, "give --calling-ae one that it knows, or have XRVSEND let in" in said) == (1, True), said
    assert send(files / "1.dcm", "--to", to, "--calling-ae", "XRAY1")[0] == 0
    code, said = send(files, "--to", to, "--as-sender")  # the third goes as XRVSEND
    assert (code, callers(store)) == (1, ["XRAY1", "XRAY2"]), said
    to = start('allowed_calling_ae = ["XRAY1", "XRAY2", "XRVSEND"]')  # as it was advised
    assert send(files, "--to", to)[0] == 0
    code, said = send(files, "--to", to.replace("XRVNODE", "OTHER"))
    assert (code, "it is not called OTHER: correct --to" in said) == (1, True), said
    to = start('allowed_addresses = ["10.0.0.1"]')
    code, said = send(files, "--to", to)
    assert (code, "let this host's address in (an xrv-node: receive.allowed_addresses)" in said) == (1, True)
    assert send(files, "--to", start('allowed_addresses = ["127.0.0.1"]'))[0] == 0


def test_without_a_peer_it_is_the_configured_node_as_it_wants_to_be_called(
    start: Start, files: Path, pairs: tuple[Pair, Pair, Pair], store: Store, tmp_path: Path
) -> None:
    start('allowed_calling_ae = ["XRAY1", "XRAY2"]', tls(pairs[2]))
    code, said = send(files, "--config", tmp_path / "node.toml", "--as-sender")
    assert (code, sorted(callers(store))) == (0, ["XRAY1", "XRAY1", "XRAY2"]), said


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        (("--certificate", "a.crt"), "--certificate and --key go together"),
        (("--no-verify-host",), "--no-verify-host is of TLS: give --tls or --ca too"),
        (("--ca", "absent.crt"), "tls.ca: absent.crt cannot be read"),
        (("--to", "nobody"), "--to nobody: write AE@host:port"),
    ],
)
def test_options_that_are_wrong_are_named(files: Path, options: tuple[Any, ...], advice: str) -> None:
    code, said = send(files, *options)
    assert (code, advice in said) == (1, True), said
