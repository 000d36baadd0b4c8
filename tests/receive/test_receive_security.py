"""Who gets in, over what, and how much of the node one peer can hold."""

from __future__ import annotations

import shutil
import socket
import ssl
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from time import sleep

import pytest
from certificates import pair
from made import CR, radiograph
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import Verification
from serving import rejected, wait
from structlog.testing import capture_logs
from worded import said

from xrv_node import tls
from xrv_node.db import queries
from xrv_node.db.store import Store
from xrv_node.errors import ConfigError
from xrv_node.settings.tls import TlsSection
from xrv_node.spool import Spool

Listen = Callable[[str], int]
HOST = "127.0.0.1"


@pytest.fixture
def listen(start: Listen) -> Listen:
    """Start receivers with more keys of ``[receive]``; returns the port."""
    return lambda keys: start(f"[receive]\nport = 0\n{keys}\n")


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, and by it a node's and a sender's certificate; a stranger's by itself."""
    openssl = shutil.which("openssl") or pytest.skip("openssl is not installed")
    directory = tmp_path_factory.mktemp("certificates")

    def make(name: str, *options: str) -> None:
        command = [
            openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:localhost,IP:{HOST}",
            "-keyout", f"{name}.key", "-out", f"{name}.crt", *options,
        ]  # fmt: skip
        subprocess.run(command, cwd=directory, check=True, capture_output=True)

    make("authority")
    make("stranger")
    for name in ("node", "sender"):
        make(name, "-CA", "authority.crt", "-CAkey", "authority.key", "-addext", "basicConstraints=CA:FALSE")
    return directory


def associate(port: int, context: ssl.SSLContext | None = None) -> Association:
    ae = AE(ae_title="PACS")
    ae.add_requested_context(CR, ExplicitVRLittleEndian)
    ae.add_requested_context(Verification)
    ae.acse_timeout = 10
    return ae.associate(HOST, port, ae_title="XRVNODE", tls_args=(context, HOST) if context else None)


def remedies(store: Store) -> list[str]:
    with store.read() as db:
        return [said(e["detail"]["remedy"]) for e in queries.events(db, event="association.refused")]


def tls_keys(directory: Path, *, mutual: bool) -> str:
    ca = f'ca = "{directory}/authority.crt"' if mutual else ""
    return f'[receive.tls]\ncertificate = "{directory}/node.crt"\nkey = "{directory}/node.key"\n{ca}'


# ---------------------------------------------------------------- TLS


def test_an_object_comes_over_tls_of_12_or_newer(listen: Listen, certificates: Path) -> None:
    port = listen(tls_keys(certificates, mutual=False))
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = tls.client_context(certificates / "authority.crt")
        context.minimum_version = context.maximum_version = version
        peer = associate(port, context)
        assert peer.send_c_store(radiograph(int(version))).Status == 0
        peer.release()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_tls_and_weak_ciphers_are_refused(listen: Listen, certificates: Path) -> None:
    port = listen(tls_keys(certificates, mutual=False))
    for version, ciphers in ((ssl.TLSVersion.TLSv1_1, "ALL"), (ssl.TLSVersion.TLSv1_2, "ECDHE+AES+SHA1")):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(certificates / "authority.crt")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = version
        context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
        with (
            socket.create_connection((HOST, port)) as plain,
            pytest.raises(OSError, match=r"(?i)alert|eof|reset"),
        ):
            context.wrap_socket(plain, server_hostname=HOST)


def test_with_an_authority_only_its_senders_get_in(listen: Listen, certificates: Path) -> None:
    port = listen(tls_keys(certificates, mutual=True))
    known = tls.client_context(
        certificates / "authority.crt", certificates / "sender.crt", certificates / "sender.key"
    )
    peer = associate(port, known)
    assert peer.send_c_echo().Status == 0
    peer.release()
    unknown = tls.client_context(
        certificates / "authority.crt", certificates / "stranger.crt", certificates / "stranger.key"
    )
    for context in (unknown, tls.client_context(certificates / "authority.crt")):
        assert not associate(port, context).is_established


@pytest.mark.peers
def test_dcmtk_speaks_tls_with_the_node(listen: Listen, certificates: Path) -> None:
    echoscu = shutil.which("echoscu", path="/usr/bin:/usr/local/bin") or pytest.skip(
        "echoscu is not installed"
    )
    port = listen(tls_keys(certificates, mutual=True))
    own = ["+tls", "sender.key", "sender.crt"]
    for options, code in ((own, 0), (["+tla"], 1)):
        command = [echoscu, *options, "+cf", "authority.crt", "-aec", "XRVNODE", HOST, str(port)]
        done = subprocess.run(command, cwd=certificates, capture_output=True, check=False, timeout=60)
        assert bool(done.returncode) == bool(code), done.stderr


def test_a_handshake_that_never_ends_keeps_nobody_waiting(listen: Listen, certificates: Path) -> None:
    port = listen(tls_keys(certificates, mutual=False))
    with socket.create_connection((HOST, port)):
        peer = associate(port, tls.client_context(certificates / "authority.crt"))
        assert peer.send_c_echo().Status == 0
        peer.release()


def test_a_caller_without_tls_is_not_served(listen: Listen, certificates: Path) -> None:
    port = listen(tls_keys(certificates, mutual=False))
    assert not associate(port).is_established


@pytest.mark.parametrize(
    ("certificate", "key", "ca", "message"),
    [
        ("absent.crt", "node.key", None, r"receive\.tls: .*absent\.crt cannot be read"),
        ("node.crt", "sender.key", None, r"receive\.tls: .* are not a PEM certificate and its private key"),
        ("node.key", "node.key", None, r"receive\.tls: .* are not a PEM certificate and its private key"),
        ("node.crt", "node.key", "absent.crt", r"receive\.tls\.ca: .*absent\.crt cannot be read"),
        ("node.crt", "node.key", "node.key", r"receive\.tls\.ca: .*node\.key holds no PEM certificates"),
    ],
)
def test_wrong_tls_files_are_named(
    certificates: Path, certificate: str, key: str, ca: str | None, message: str
) -> None:
    files = TlsSection(
        certificate=certificates / certificate, key=certificates / key, ca=certificates / ca if ca else None
    )
    with pytest.raises(ConfigError, match=message):
        tls.server_context(files)


def test_an_encrypted_key_is_refused_instead_of_asked_for(certificates: Path, tmp_path: Path) -> None:
    locked = tmp_path / "locked.key"
    command = ["openssl", "ec", "-in", "node.key", "-aes256", "-passout", "pass:x", "-out", str(locked)]
    subprocess.run(command, cwd=certificates, check=True, capture_output=True)
    with pytest.raises(ConfigError, match=r"locked\.key is encrypted"):
        tls.server_context(TlsSection(certificate=certificates / "node.crt", key=locked))


# ---------------------------------------------------------------- addresses and limits


def test_only_allowed_addresses_are_talked_to(listen: Listen, capsys: pytest.CaptureFixture[str]) -> None:
    refused = listen('allowed_addresses = ["10.0.0.0/8"]')
    assert not associate(refused).is_established
    assert 'add "127.0.0.1" to receive.allowed_addresses' in "".join(capsys.readouterr())
    peer = associate(listen('allowed_addresses = ["10.0.0.0/8", "127.0.0.0/30"]'))
    assert peer.send_c_echo().Status == 0
    peer.release()


@pytest.mark.parametrize("key", ["max_associations", "max_associations_per_peer"])
def test_one_association_too_many_is_refused_for_now(listen: Listen, store: Store, key: str) -> None:
    port = listen(f"{key} = 1")
    first = associate(port)
    second = rejected(lambda: associate(port))
    assert second.acceptor.primitive.result == 2  # transient
    first.release()
    wait(lambda: remedies(store), 30, "the refusal on the trail")
    assert remedies(store) == [f"more than 1 associations at once (receive.{key}); it may try again"]
    wait(lambda: associate(port).is_established, 30, "a place for another")


def test_an_object_that_is_too_large_is_refused_and_the_next_one_taken(listen: Listen, spool: Spool) -> None:
    peer = associate(listen("max_object_mb = 1"))
    large = radiograph(1, Rows=2048, Columns=300, PixelData=b"\0" * (2048 * 300 * 2))
    assert peer.send_c_store(large).Status == 0xC000
    assert peer.send_c_store(radiograph(2)).Status == 0
    peer.release()
    assert len(list((spool.root / "spool").rglob("*.dcm"))) == 1
    assert not list(spool.drafts.glob(".*"))


def test_a_peer_that_falls_silent_is_put_out_and_leaves_nothing(listen: Listen, spool: Spool) -> None:
    port = listen("idle_seconds = 1")
    silent = associate(port)
    raw = silent.dul.socket.socket
    raw.sendall(struct.pack(">BBL", 4, 0, 1000) + b"\0" * 10)  # a data PDU that is never finished
    wait(lambda: not silent.is_established, 30, "the abort")
    assert silent.is_aborted
    assert not list((spool.root / "spool").rglob("*.dcm"))


def test_a_peer_may_be_silent_between_objects_for_as_long_as_it_is_allowed(listen: Listen) -> None:
    peer = associate(listen("idle_seconds = 5"))
    sleep(1.5)
    assert peer.send_c_echo().Status == 0
    peer.release()


def test_a_pdu_longer_than_agreed_is_not_waited_for(listen: Listen) -> None:
    """A length of 4 GB must not be believed, nor memory set aside for it."""
    peer = associate(listen(""))
    peer.dul.socket.socket.sendall(struct.pack(">BBL", 4, 0, 0xFFFFFFF0))
    wait(lambda: not peer.is_established, 30, "the abort")
    assert peer.is_aborted


def test_who_only_looks_whether_somebody_listens_is_no_warning(listen: Listen, store: Store) -> None:
    port = listen("")
    with capture_logs() as logs:
        socket.create_connection(("127.0.0.1", port)).close()
        wait(lambda: bool(logs), 20, "nothing is logged")
    assert [(line["event"], line["log_level"]) for line in logs] == [
        ("connection without an association", "info")
    ]
    with store.read() as db:
        assert list(queries.events(db, event="association.refused")) == []


def test_a_caller_without_tls_is_told_as_that(listen: Listen, tmp_path: Path) -> None:
    mine = pair(tmp_path, "mine")
    port = listen(f'[receive.tls]\ncertificate = "{mine.certificate}"\nkey = "{mine.key}"')
    with capture_logs() as logs, socket.create_connection(("127.0.0.1", port)) as plain:
        plain.sendall(b"\x01\x00\x00\x00\x00\xcd\x00\x01\x00\x00" + b"XRVNODE".ljust(16) + b"X" * 100)
        wait(lambda: bool(logs), 20, "nothing is logged")
    (line,) = logs
    assert line["why"].startswith("it calls without TLS")
