"""Whatever is wrong with a configuration gets one line that names file, key and what is accepted."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from xrv_node import settings
from xrv_node.errors import ConfigError
from xrv_node.result_kinds import KINDS
from xrv_node.settings.access import OidcSection
from xrv_node.settings.alerts import Alert
from xrv_node.settings.destinations import (
    Destination,
    DimseDestination,
    FolderDestination,
    WebDestination,
)
from xrv_node.settings.priority import PrioritySection
from xrv_node.settings.section import kinds

WEB = "[[destinations]]\nname='a'\nkind='web'\n"
PEER = "[[peers]]\nname='p'\nae_title='P'\nhost='h'\nport=104\n"


def load(tmp_path: Path, text: str) -> settings.Settings:
    path = tmp_path / "node.toml"
    path.write_text(text, encoding="utf-8")
    return settings.load(path)


def test_a_table_that_is_wrong_as_a_whole_is_not_repeated(tmp_path: Path) -> None:
    web = "[priors]\nkind = 'web'\ntoken = 'Zebrafinch'\n"
    with pytest.raises(ConfigError) as error:
        load(tmp_path, web)
    assert "Zebrafinch" not in str(error.value)
    assert "Zebrafinch" not in repr(load(tmp_path, web + "url = 'https://x'"))


def test_the_default_file_says_what_the_code_defaults_to(tmp_path: Path) -> None:
    assert load(tmp_path, settings.default_text()) == load(tmp_path, "")


def test_the_default_file_names_every_key() -> None:
    table = tomllib.loads(settings.default_text())
    for name, section in settings.Settings():
        if name in ("destinations", "peers", "archives", "alerts", "priority"):
            continue
        # A table that is not there by default is an example in the comments.
        keys = {f.alias or k for k, f in type(section).model_fields.items() if k not in ("tls", "oidc")}
        assert set(table[name]) == keys, name


def test_the_examples_in_the_default_file_are_good(tmp_path: Path) -> None:
    _, first, rest = settings.default_text().partition("# [[destinations]]")
    examples = first + rest
    text = "\n".join(line.removeprefix("#").strip() for line in examples.splitlines())
    written = {table["kind"]: table for table in tomllib.loads(text)["destinations"]}
    assert set(written) == set(kinds(Destination))
    alerts = {table["kind"]: table for table in tomllib.loads(text)["alerts"]}
    assert set(alerts) == set(kinds(Alert))
    told = set().union(*alerts.values())
    assert told == {key for section in kinds(Alert).values() for key in section.model_fields}
    loaded = load(tmp_path, text)
    said = {key for rule in loaded.priority for key, value in rule if value}
    assert said == set(PrioritySection.model_fields)
    pacs, cloud = (loaded.destination(written[kind]["name"]) for kind in ("dimse", "web"))
    assert loaded.destination("back@xray1").send == ("sc",)
    assert isinstance(pacs, DimseDestination)
    assert isinstance(cloud, WebDestination)
    assert pacs.when.finding == ("Pneumothorax",)
    assert pacs.tls is not None
    assert (pacs.tls.ca, cloud.token_file) == (tmp_path / "hospital-ca.pem", tmp_path / "token.txt")


def test_the_example_of_tls_in_the_default_file_is_good(tmp_path: Path) -> None:
    example = settings.default_text().split("# [receive.tls]")[1].split("\n\n")[0]
    text = "\n".join(line.removeprefix("#").strip() for line in example.splitlines())
    tls = load(tmp_path, "[receive.tls]" + text).receive.tls
    assert tls is not None
    assert (tls.certificate, tls.ca) == (tmp_path / "node.crt", tmp_path / "senders.crt")


def test_the_example_of_a_sign_in_in_the_default_file_is_good(tmp_path: Path) -> None:
    example = settings.default_text().split("# [web.oidc]")[1].split("\n\n")[0]
    text = "\n".join(line.removeprefix("#").strip() for line in example.splitlines())
    oidc = load(tmp_path, "[web.oidc]" + text).web.oidc
    assert oidc is not None
    assert set(oidc.model_fields_set) == set(OidcSection.model_fields)
    assert oidc.client_secret_file == tmp_path / "secret.txt"


@pytest.mark.parametrize(
    ("text", "open_to_all"),
    [
        ("", False),
        ("host = '::1'", False),
        ("host = '0.0.0.0'", True),
        ("host = '0.0.0.0'\nallowed_calling_ae = ['PACS']", False),
        ("host = '0.0.0.0'\nallowed_addresses = ['10.0.0.0/8']", False),
        ("host = '0.0.0.0'\n[receive.tls]\ncertificate = 'a'\nkey = 'b'", True),
        ("host = '0.0.0.0'\n[receive.tls]\ncertificate = 'a'\nkey = 'b'\nca = 'c'", False),
    ],
)
def test_a_node_that_anybody_may_send_to_says_so(tmp_path: Path, text: str, open_to_all: bool) -> None:
    remedy = load(tmp_path, "[receive]\n" + text).receive.open_to_all
    assert bool(remedy) == open_to_all
    assert not remedy or "receive.allowed_calling_ae" in remedy


def test_a_destination_takes_every_kind_of_result_and_a_misspelt_one_names_them(tmp_path: Path) -> None:
    text = "[[destinations]]\nname='a'\nkind='folder'\npath='x'\nsend="
    assert load(tmp_path, f"{text}{list(KINDS)}").destinations[0].send == tuple(KINDS)
    *names, last = (f"'{kind}'" for kind in KINDS)
    accepted = f"Input should be {', '.join(names)} or {last} (got 'rapport')"
    with pytest.raises(ConfigError, match=re.escape(f"destinations.a.send.0: {accepted}")):
        load(tmp_path, text + "['rapport']")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[receive]\nprot = 3", "receive.prot: unknown key; accepted here: ae_title, host, port, "),
        ("[recieve]\nport = 3", "recieve: unknown key; accepted here: node, receive, study, "),
        ("[[destinations]]\nname='a'\nkind='folder'\npath='x'\nhots=1", "destinations.a.hots: unknown key"),
        ("[receive]\nport = 70000", "receive.port: Input should be less than or equal to 65535 (got 70000)"),
        ("[receive]\nport = 'x'", "receive.port: "),
        (
            "[receive]\nallowed_calling_ae = 'PACS'",
            "receive.allowed_calling_ae: a list is needed here, in square",
        ),
        ("[receive]\nport = 0\nprocesses = 2", "receive: several processes share a port that is named"),
        ("[receive]\nallowed_addresses = ['pacs']", "receive.allowed_addresses.0: value is not a valid IPv4"),
        ("[receive]\nae_title = 'SEVENTEEN LETTERS'", "receive.ae_title: an AE title is 1 to 16 printable"),
        ("[receive]\nae_title = ' '", "receive.ae_title: an AE title is 1 to 16 printable"),
        ("[receive]\nallowed_calling_ae = ['Ü']", "receive.allowed_calling_ae.0: an AE title is"),
        (
            "[frontal]\nunknown = 'maybe'",
            "frontal.unknown: Input should be 'skip' or 'analyse' (got 'maybe')",
        ),
        ("[models]\ndevice = 'gpu'", "models.device: auto, cpu, cuda, cuda:1 or mps is needed here (got"),
        ("[models.thresholds]\nMass = 0", "models.thresholds.Mass: Input should be greater than 0 (got 0)"),
        ("[models.thresholds]\nMass = 1.0", "models.thresholds.Mass: Input should be less than 1 (got 1.0)"),
        ("[models.thresholds]\nMass = nan", "models.thresholds.Mass: "),
        ("[models.thresholds]\nMass = 'low'", "models.thresholds.Mass: "),
        ("[database]\nurl = 'mysql://x'", "database.url: nothing, or an address that begins with sqlite:"),
        ("[web]\nindex_url = 'mysql://x'", "web.index_url: nothing, or an address that begins with sqlite:"),
        ("[web]\nviewer_url = 'viewer'", "web.viewer_url: an address such as https://viewer.example/viewer"),
        ("[web.oidc]\nissuer = 'x'\nclient_id = 'x'", "web.oidc.issuer: an address such as https://"),
        (
            "[[archives]]\nname = 'seventeen-letters'\nkind = 'web'\nurl = 'https://x'",
            "archives.seventeen-letters.name: a name of letters, digits, dots, hyphens and underscores, at most 16",
        ),
        ("[priors]\nkind = 'dimse'", 'priors.host: kind "dimse" needs it'),
        ("[priors]\nkind = 'web'", 'priors.url: kind "web" needs it'),
        ("[priors]\nkind = 'web'\nurl = 'ftp://x'", "priors.url: an address such as https://"),
        ("[priors]\nkind = 'web'\nurl = 'https://name:word@x/'", "priors.url: an address such as https://"),
        ("[priors]\nmax_studies = 11", "priors.max_studies: "),
        ("[priors]\ntimeout_seconds = 0", "priors.timeout_seconds: "),
        ("[log]\njson = 'perhaps'", "log.json: "),
        ("[study]\nquiet_seconds = -1", "study.quiet_seconds: "),
        ("[[destinations]]\nname='a'\nkind='dimse'", 'destinations.a.ae_title: kind "dimse" needs it'),
        ("[[destinations]]\nname='a'\nkind='dimse'", 'destinations.a.host: kind "dimse" needs it'),
        ("[[destinations]]\nname='a'\nkind='dimse'", 'destinations.a.port: kind "dimse" needs it'),
        ("[[destinations]]\nname='a'\nkind='folder'", 'destinations.a.path: kind "folder" needs it'),
        ("[[destinations]]\nname='a/b'\nkind='folder'\npath='x'", "destinations.0.name: "),
        ("[[destinations]]\nname='a'\nkind='folder'\npath='x'\nsend=['fax']", "destinations.a.send.0: "),
        ("[[destinations]]\nname='a'\nkind='folder'\npath='x'\n" * 2, "two destinations are named a"),
        (f"{WEB}url='ftp://x'", "destinations.a.url: "),
        (f"{WEB}url='https://name:word@x/'", "destinations.a.url: "),
        (WEB, 'destinations.a.url: kind "web" needs it'),
        (f"{WEB}url='https://x'\ntoken='t'", "destinations.a.token: unknown key"),
        (f"{WEB}url='https://x'\nuser='u'", "user and password_file go together"),
        (
            f"{WEB}url='https://x'\ntoken_file='t'\ntoken_variable='T'",
            "token_file and token_variable: there is one way to log in",
        ),
        (f"{WEB}url='https://x'\ntls={{key='k'}}", "destinations.a.tls: certificate and key go together"),
        (
            f"{WEB}url='https://x'\ncommitment=true",
            'destinations.a.commitment: `commitment` is a key of kind "dimse" or "reply", not of "web"',
        ),
        ("[web]\ntoken_file=3", "web.token_file: a path is needed here (got 3)"),
        ("models=3", "models: a table is needed here"),
        (f"{WEB}url='https://x'\nwhen={{findings=['Mass']}}", "destinations.a.when.findings: unknown key; "),
        (
            f"{WEB}url='https://x'\nwhen={{finding=['Tumor']}}",
            "no finding has this name; accepted: Atelectasis",
        ),
        ("[[destinations]]\nname='a'\nkind='reply'", "a reply destination needs [[peers]]"),
        (f"[[destinations]]\nname='{'a' * 33}'\nkind='reply'", "has at most 32 characters"),
        (f"{PEER}{PEER}", "two peers are named p"),
        (f"{PEER}prot=1", "peers.p.prot: unknown key; accepted here: name, ae_title, host, port, tls"),
        ("[receive", "not valid TOML"),
        ("\udcff", "not valid TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "node.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError) as error:
        settings.load(path)
    assert str(path) in str(error.value)
    assert message in str(error.value)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        load(tmp_path, "[receive]\nprot = 3\nport = -1\n[study]\nquiet = 3")
    assert len(str(error.value).splitlines()) == 3


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml: cannot be read .* `xrv-node init`"):
        settings.load(tmp_path / "absent.toml")


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    loaded = load(
        tmp_path,
        "[node]\ndata_dir='d'\n[models]\ndir='w'\n[[destinations]]\nname='a'\nkind='folder'\npath='out'",
    )
    assert loaded.data_dir == tmp_path / "d"
    assert loaded.models_dir == tmp_path / "w"
    (folder,) = loaded.destinations
    assert isinstance(folder, FolderDestination)
    assert folder.path == tmp_path / "out"
    assert load(tmp_path, "").models_dir == tmp_path / "data" / "models"


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XRV_NODE__RECEIVE__PORT", "1104")
    monkeypatch.setenv("XRV_NODE__RECEIVE__ALLOWED_CALLING_AE", '["PACS"]')
    monkeypatch.setenv("XRV_NODE__LOG__JSON", "true")
    monkeypatch.setenv("XRV_NODE__MODELS__THRESHOLDS", '{"Lung Lesion": 0.2}')
    loaded = load(tmp_path, "[receive]\nport = 1\nae_title = 'MINE'\n[models.thresholds]\nMass = 0.1")
    assert loaded.models.thresholds == {"Mass": 0.1, "Lung Lesion": 0.2}
    assert (loaded.receive.port, loaded.receive.ae_title) == (1104, "MINE")
    assert loaded.receive.allowed_calling_ae == ("PACS",)
    assert loaded.log.as_json


@pytest.mark.parametrize("variable", ["XRV_NODE__RECEIVE__PROT", "XRV_NODE__RECIEVE__PORT"])
def test_a_misspelt_variable_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "1")
    with pytest.raises(ConfigError, match=r"receive\.prot|RECIEVE"):
        load(tmp_path, "")


def test_a_variable_of_the_wrong_form_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XRV_NODE__RECEIVE__ALLOWED_CALLING_AE", "PACS")
    with pytest.raises(ConfigError, match=r"(?i)allowed_calling_ae|receive"):
        load(tmp_path, "")


def test_the_file_is_found_by_variable_or_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XRV_NODE_CONFIG", raising=False)
    assert settings.find(None) is None
    (tmp_path / "node.toml").write_text("")
    assert settings.find(None) == Path("node.toml")
    monkeypatch.setenv("XRV_NODE_CONFIG", "/etc/other.toml")
    assert settings.find(None) == Path("/etc/other.toml")


KEPT = "Kingfisher"
"""What no message must repeat."""


@pytest.mark.parametrize(
    "text",
    [
        f"{WEB}url='https://node:{KEPT}@pacs.example/x'",
        f"{WEB}url='https://x'\ntoken_variable='{KEPT} !'",
        f"{WEB}url='https://x'\nproxy='http://node:{KEPT}@proxy:3128'",
        f"{WEB}url='https://x'\nuser='node:{KEPT}'\npassword_file='p'",
        f"{WEB}url='https://x'\npassword='{KEPT}'",
        f"{WEB}url=['https://node:{KEPT}@x']",
        f"[priors]\nkind='web'\nurl='https://x'\ntoken=['{KEPT}']",
        f"[priors]\nkind='web'\nurl='https://node:{KEPT}@x'",
        f"[priors]\nkind='https://node:{KEPT}@x'",
        f"[database]\nurl='mysql://node:{KEPT}@db/x'",
        f"database='postgresql://node:{KEPT}@db/x'",
        f"destinations='https://node:{KEPT}@x'",
        f"destinations=['{{url: {KEPT}}}']",
        f"[audit]\nhost=['{KEPT}']",
        f"[audit]\nport='https://node:{KEPT}@x'",
    ],
)
def test_no_message_repeats_a_password(tmp_path: Path, text: str) -> None:
    path = tmp_path / "node.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        settings.load(path)
    assert KEPT not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "[receive]\nmax_object_mb=true",
        "[receive]\nport=true",
        "[study]\nquiet_seconds=false",
        "[retention]\ninputs_days=false",
        f"{WEB}url='https://x'\ntimeout_seconds=true",
    ],
)
def test_true_is_no_number(tmp_path: Path, text: str) -> None:
    path = tmp_path / "node.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"valid (integer|number)"):
        settings.load(path)
