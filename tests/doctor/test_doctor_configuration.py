"""What can be found in a configuration without starting anything: a line each, the key first."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import forked
import pytest
from certificates import pair

from xrv_node import settings, tls
from xrv_node.doctor import configuration
from xrv_node.doctor.diagnosis import State
from xrv_node.errors import ConfigError

PACS = '[[destinations]]\nname = "pacs"\nkind = "dimse"\nae_title = "PACS"\nhost = "10.0.0.5"\nport = 104\n'
WEB = '[[destinations]]\nname = "cloud"\nkind = "web"\nurl = "https://pacs.example"\n'
RECEIVE = '[receive.tls]\ncertificate = "node.crt"\nkey = "node.key"\n'


def looked(folder: Path, text: str) -> list[tuple[State, str]]:
    (folder / "node.toml").write_text(text)
    loaded = settings.load(folder / "node.toml")
    return [(state, says) for state, says, remedy in configuration.look(loaded) if remedy]


def ended(folder: Path) -> None:
    """A certificate of 2020: only ``openssl ca`` can be told the dates."""
    key, asked, config = (folder / f"ended.{end}" for end in ("key", "csr", "cnf"))
    (folder / "index.txt").touch()
    config.write_text(
        f"[ca]\ndefault_ca = it\n[it]\ndatabase = {folder}/index.txt\nserial = {folder}/serial\nnew_certs_dir = {folder}\n"
        "default_md = sha256\npolicy = any\n[any]\ncommonName = supplied\n"
    )
    made = [
        "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", asked,
    ]  # fmt: skip
    subprocess.run(["openssl", "req", *made, "-subj", "/CN=ended"], check=True, capture_output=True)
    certificate = folder / "ended.crt"
    signed = ["-selfsign", "-keyfile", key, "-in", asked, "-out", certificate, "-notext", "-rand_serial"]
    dates = ["-startdate", "20200101000000Z", "-enddate", "20200102000000Z"]
    command = ["openssl", "ca", "-batch", "-config", config, *signed, *dates]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two certificates of a year, one that ends soon, and secrets."""
    folder = tmp_path_factory.mktemp("files")
    for name, days in (("node", 365), ("other", 365), ("soon", 3)):
        pair(folder, name, days=days)
    ended(folder)
    for name, text in (("token", "a long word"), ("empty", " \n")):
        (folder / name).write_text(text)
    for file in folder.iterdir():
        file.chmod(0o600)
    (folder / "open").write_text("a long word")
    (folder / "open").chmod(0o644)
    return folder


def test_nothing_is_wrong_with_what_is_right(files: Path) -> None:
    text = f'{RECEIVE}{WEB}token_file = "token"\ntls = {{ ca = "other.crt" }}\n'
    assert looked(files, text) == []
    assert looked(files, settings.default_text()) == []


@pytest.mark.parametrize(
    ("text", "state", "says"),
    [
        (RECEIVE.replace("node.key", "other.key"), State.FAIL, "receive.tls: "),
        (RECEIVE.replace("node.crt", "none.crt"), State.FAIL, "receive.tls: "),
        (RECEIVE + 'ca = "token"', State.FAIL, "receive.tls.ca: "),
        (RECEIVE.replace("node.", "soon."), State.WARN, "receive.tls.certificate: "),
        (RECEIVE.replace("node.", "ended."), State.FAIL, "receive.tls.certificate: "),
        ('[audit.tls]\nca = "none.crt"', State.FAIL, "audit.tls.ca: "),
        (PACS + 'tls = { ca = "token" }', State.FAIL, "destinations.pacs.tls.ca: "),
        (WEB + 'token_file = "none"', State.FAIL, "destinations.cloud.token_file: "),
        (WEB + 'token_file = "empty"', State.FAIL, "destinations.cloud.token_file: "),
        (WEB + 'token_file = "open"', State.WARN, "destinations.cloud.token_file: "),
        (WEB + 'user = "u"\npassword_file = "none"', State.FAIL, "destinations.cloud.password_file: "),
        (WEB + 'token_variable = "NOT_SET_HERE"', State.WARN, "destinations.cloud.token_variable: "),
        ('[web]\ntoken_file = "none"', State.FAIL, "web.token_file: "),
        ('[web]\nenabled = true\nhost = "0.0.0.0"', State.WARN, "web.host: 0.0.0.0 is reached without TLS"),
        (
            '[web.oidc]\nissuer = "https://x"\nclient_id = "a"\nclient_secret_file = "none"',
            State.FAIL,
            "web.oidc.client_secret_file: ",
        ),
        ("[web]\nenabled = true\nport = 11112", State.FAIL, "web.port: "),
        (PACS.replace("10.0.0.5", "localhost").replace("PACS", "XRVNODE").replace("104", "11112"), State.FAIL, "destinations.pacs: it is this node"),
        ('[receive]\nhost = "0.0.0.0"', State.WARN, "receive.allowed_calling_ae: "),
        ('[receive]\nallowed_calling_ae = ["CR1"]\n' + PACS + "commitment = true", State.WARN, "destinations.pacs.commitment: "),
        ('[receive]\nallowed_calling_ae = ["CR1"]\n' + PACS + 'when = { calling_ae = ["CR2"] }', State.WARN, "destinations.pacs.when.calling_ae: "),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_that_names_the_key(
    files: Path, text: str, state: State, says: str
) -> None:
    (found,) = looked(files, text)
    assert found[0] == state
    assert found[1].startswith(says)


def test_a_reply_to_a_peer_that_is_not_there_is_refused(tmp_path: Path) -> None:
    peer = '[[peers]]\nname = "x"\nae_title = "CR1"\nhost = "h"\nport = 104\n'
    back = '[[destinations]]\nname = "back"\nkind = "reply"\nwhen = { calling_ae = ["CR9"] }\n'
    with pytest.raises(ConfigError, match=r"back.when.calling_ae: CR9 is none of the \[\[peers\]\] \(CR1\)"):
        looked(tmp_path, back + peer)


def test_the_end_of_a_certificate_is_openssls(files: Path) -> None:
    shown = subprocess.run(
        ["openssl", "x509", "-enddate", "-noout", "-dateopt", "iso_8601", "-in", str(files / "node.crt")],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    ends = tls.valid_until(files / "node.crt", files / "node.key")
    assert ends is not None
    assert shown.strip() == f"notAfter={ends:%Y-%m-%d %H:%M:%S}Z"


def test_a_certificate_of_an_authority_has_an_end_too(files: Path, tmp_path: Path) -> None:
    """Not its own authority, as a hospital's certificates are."""
    request = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    leaf, key, asked = (tmp_path / f"leaf.{end}" for end in ("crt", "key", "csr"))
    subprocess.run(
        [*request, "-keyout", key, "-out", asked, "-subj", "/CN=leaf"], check=True, capture_output=True
    )
    signed = ["-CA", files / "node.crt", "-CAkey", files / "node.key", "-CAcreateserial", "-days", "9"]
    subprocess.run(
        ["openssl", "x509", "-req", "-in", asked, "-out", leaf, *signed], check=True, capture_output=True
    )
    assert tls.valid_until(leaf, key) is not None


def test_the_command_says_all_of_it_at_once(files: Path) -> None:
    file = files / "bad.toml"
    file.write_text(
        f'{RECEIVE.replace("node.key", "other.key")}[web]\ntoken_file = "none"\n{WEB}token_file = "open"\n'
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("XRV_NODE__")}
    done = forked.run(
        [*forked.COMMAND, "config", "check", "--commissioning", "--config", str(file)],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stdout.startswith(f"warning: {file}: destinations.cloud.token_file: every user")
    first, second = done.stderr.splitlines()
    assert first.startswith(f"error: {file}: receive.tls: ")
    assert second.startswith(f"{file}: web.token_file: ")
