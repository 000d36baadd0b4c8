"""Hosts that have no name, no address or no program: a line, and the rest goes on."""

from __future__ import annotations

import socket
import threading
from contextlib import closing
from pathlib import Path

import pytest
from in_process import told
from made import radiograph
from ports import free_port

from xrv_node import doctor
from xrv_node.cli.send import peer
from xrv_node.db.store import Store
from xrv_node.deliver.attempt import Outcome
from xrv_node.deliver.senders import sender
from xrv_node.doctor.diagnosis import Diagnosis, Examined, State
from xrv_node.errors import DestinationError
from xrv_node.network.terms import Peer
from xrv_node.reasons import Reason
from xrv_node.settings import load
from xrv_node.values import StoredResult

UNKNOWN = ["nowhere.invalid", "a..b", "x" * 64 + ".example", ".example"]
"""Hosts of no name: RFC 6761's, and what IDNA lets nobody be called."""


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    """No DNS is asked: names are unknown as the library says it."""
    real = socket.getaddrinfo

    def found(host: str, *arguments: object, **options: object) -> object:
        host.encode("idna")
        if host not in ("127.0.0.1", "localhost", "::1"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(host, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", found)


def configured(folder: Path, host: str) -> Path:
    file = folder / "node.toml"
    file.write_text(
        f'[receive]\nport = {free_port()}\n[audit]\nhost = "{host}"\n[priors]\nkind = "dimse"\nhost = "{host}"\n'
        + "".join(
            f'[[destinations]]\nname = "{kind}"\nkind = "{kind}"\n{keys}\n'
            for kind, keys in {
                "dimse": f'ae_title = "A"\nhost = "{host}"\nport = 104',
                "web": f'url = "http://{host}/dicom-web"',
                "folder": 'path = "out"',
            }.items()
        )
    )
    return file


@pytest.mark.parametrize("host", UNKNOWN)
def test_a_name_that_is_none_is_told_of_each_destination_and_the_others_are_checked(
    host: str, tmp_path: Path, resolver: None
) -> None:
    said = told("destinations", "check", "--config", configured(tmp_path, host), codes=(1,))
    assert "dimse: FAILED" in said
    assert "web: FAILED" in said
    assert "folder: good" in said
    assert "cannot be resolved" in said


@pytest.mark.parametrize("host", UNKNOWN)
def test_the_doctor_goes_on_after_it(host: str, tmp_path: Path, resolver: None) -> None:
    settings = load(configured(tmp_path, host))
    with closing(Store(settings.database_url)) as store:
        node = Examined(settings, store, False)
        for check, failed in (("destinations", 2), ("audit", 1), ("priors", 1)):
            found = [Diagnosis(check, *one) for one in doctor.CHECKS[check](node)]
            assert [f.state for f in found].count(State.FAIL) == failed


@pytest.mark.parametrize("host", UNKNOWN[:3])
def test_what_is_to_be_sent_there_is_tried_again(host: str, tmp_path: Path, resolver: None) -> None:
    file = tmp_path / "a.dcm"
    radiograph().save_as(file, enforce_file_format=True)
    result = StoredResult("report", "1.2", "1.3", file)
    for destination in load(configured(tmp_path, host)).destinations[:2]:
        (attempt,) = sender(destination, "XRVNODE").send([result])
        assert attempt.outcome == Outcome.TRANSIENT


@pytest.mark.parametrize("host", UNKNOWN)
@pytest.mark.parametrize("command", ["send", "acceptance --through", "acceptance --node"])
def test_a_command_that_is_to_reach_it_says_so_in_a_line(
    host: str, command: str, tmp_path: Path, resolver: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    radiograph().save_as(tmp_path / "a.dcm", enforce_file_format=True)
    option = ["--to", f"A@{host}:104", "a.dcm"] if command == "send" else [f"A@{host}:104", "--wait", "1"]
    said = told(*command.split(), *option, codes=(1, 2)).splitlines()
    (error,) = [line for line in said if line.startswith("error: ")]
    assert "cannot be resolved" in error


@pytest.mark.parametrize("port", ["0", "65536", "99999"])
def test_a_port_that_there_cannot_be(port: str) -> None:
    assert "write AE@host:port" in told("send", "x", "--to", f"A@localhost:{port}", codes=(2,))


def test_an_address_of_ipv6_stands_in_brackets() -> None:
    assert peer("--to", "A@[::1]:104") == peer("--to", "A@::1:104") == Peer("A", "::1", 104)


def test_a_peer_without_tls_is_told_as_that(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_plainly, args=(server,), daemon=True).start()
        file = tmp_path / "node.toml"
        file.write_text(
            '[[destinations]]\nname = "a"\nkind = "dimse"\nae_title = "A"\nhost = "127.0.0.1"\n'
            f"port = {server.getsockname()[1]}\ntls = {{}}\n"
        )
        with pytest.raises(DestinationError) as raised:
            sender(load(file).destinations[0], "XRVNODE").check()
    assert str(Reason("peer-without-tls")) in str(raised.value)


def _plainly(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(100)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
