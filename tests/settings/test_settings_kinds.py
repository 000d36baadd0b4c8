"""Tables that have kinds: each kind has its own keys, and whose a key is that is out of place is said."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from xrv_node import settings
from xrv_node.cli import app
from xrv_node.deliver.senders import SENDERS
from xrv_node.errors import ConfigError, WeightsError
from xrv_node.settings.alerts import Alert
from xrv_node.settings.destinations import Destination, DimseDestination, ReplyDestination
from xrv_node.settings.priors import DimsePriors, LocalPriors, Priors, WebPriors
from xrv_node.settings.section import Section, kinds

TABLES: dict[str, tuple[str, str, dict[str, type[Section]]]] = {
    "destinations": ("[[destinations]]", "destinations.0", kinds(Destination)),
    "priors": ("[priors]", "priors", kinds(Priors)),
    "alerts": ("[[alerts]]", "alerts.0", kinds(Alert)),
}
"""How each table with kinds begins in the file, how it is named in a complaint, and its kinds."""


def _either(words: Iterable[str]) -> str:
    return " or ".join(", ".join(words).rsplit(", ", 1))


ACCEPTED = _either(f'"{kind}"' for kind in kinds(Destination))


def check(tmp_path: Path, text: str) -> list[str]:
    """What `xrv-node config check` says is wrong in a file, a line each, without the file's name."""
    path = tmp_path / "node.toml"
    path.write_text(text, encoding="utf-8")
    done = CliRunner().invoke(app, ["config", "check", "--config", str(path)])
    if isinstance(done.exception, WeightsError):  # which it looks for when the file is good
        return []
    assert isinstance(done.exception, ConfigError)
    return [line.removeprefix(f"{path}: ") for line in str(done.exception).splitlines()]


def foreign() -> list[tuple[str, str, str]]:
    """Every table with every kind and every key that only other kinds have."""
    found: list[tuple[str, str, str]] = []
    for table, (_, _, sections) in TABLES.items():
        for kind, section in sections.items():
            keys = dict.fromkeys(key for other in sections.values() for key in other.model_fields)
            found += [(table, kind, key) for key in keys if key not in section.model_fields]
    return found


@pytest.mark.parametrize(("table", "kind", "key"), foreign())
def test_a_key_of_another_kind_is_refused_with_the_kind_that_has_it(
    tmp_path: Path, table: str, kind: str, key: str
) -> None:
    begin, name, sections = TABLES[table]
    owners = _either(f'"{k}"' for k, section in sections.items() if key in section.model_fields)
    expected = f'{name}.{key}: `{key}` is a key of kind {owners}, not of "{kind}"'
    assert expected in check(tmp_path, f'{begin}\nkind = "{kind}"\n{key} = 1\n')


def test_what_was_once_taken_as_good_is_refused(tmp_path: Path) -> None:
    folder = """
        [[destinations]]
        name = "a"
        kind = "folder"
        path = "out"
        url = "https://x"
        user = "u"
        password_file = "p"
        tls = {}
    """
    web = """
        [[destinations]]
        name = "b"
        kind = "web"
        url = "https://x"
        ae_title = "A"
        host = "h"
        port = 104
    """
    assert check(tmp_path, folder + web) == [
        'destinations.a.url: `url` is a key of kind "web" or "fhir", not of "folder"',
        'destinations.a.user: `user` is a key of kind "web" or "fhir", not of "folder"',
        'destinations.a.password_file: `password_file` is a key of kind "web" or "fhir", not of "folder"',
        'destinations.a.tls: `tls` is a key of kind "dimse", "web", "hl7" or "fhir", not of "folder"',
        'destinations.b.ae_title: `ae_title` is a key of kind "dimse", not of "web"',
        'destinations.b.host: `host` is a key of kind "dimse" or "hl7", not of "web"',
        'destinations.b.port: `port` is a key of kind "dimse" or "hl7", not of "web"',
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '[[destinations]]\nname = "a"\nkind = "ftp"',
            f"destinations.a.kind: Input should be {ACCEPTED} (got 'ftp')",
        ),
        (
            '[[destinations]]\nname = "a"',
            f"destinations.a.kind: every table here needs it: {ACCEPTED}",
        ),
        ('[priors]\nkind = 3', 'priors.kind: Input should be "none", "dimse" or "web" (got 3)'),
        (
            '[[destinations]]\nname = "a"\nkind = "folder"\npath = "x"\nhots = 1',
            "destinations.a.hots: unknown key; accepted here: name, kind, active, send, when, report_skipped, "
            "language, seg_geometry, seg_type, deflate, path",
        ),
        ('[priors]\nhots = 1', "priors.hots: unknown key; accepted here: max_studies, kind, timeout_seconds"),
        ("priors = 3", "priors: a table is needed here; in a variable, one in JSON"),
        ("destinations = [3]", "destinations.0: a table is needed here; in a variable, one in JSON"),
    ],
)  # fmt: skip
def test_a_kind_that_is_wrong_names_the_kinds(tmp_path: Path, text: str, expected: str) -> None:
    assert check(tmp_path, text) == [expected]


def test_keys_that_are_left_as_init_wrote_them_are_not_foreign(tmp_path: Path) -> None:
    """The default file named every key of ``[priors]`` whatever the kind: such files are on sites' disks."""
    table = """
        [priors]
        max_studies = 3
        kind = "{kind}"
        ae_title = "ARCHIVE"
        host = ""
        port = 104
        url = ""
        token = ""
        timeout_seconds = 10
    """
    assert check(tmp_path, table.format(kind="none")) == []
    assert check(tmp_path, table.format(kind="dimse").replace('host = ""', 'host = "h"')) == []
    assert check(tmp_path, table.format(kind="web").replace('url = ""', 'url = "https://x"')) == []
    assert check(tmp_path, table.format(kind="dimse")) == ['priors.host: kind "dimse" needs it']


def from_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str = "", **values: Any) -> Any:
    """Settings from a file with this text and these variables."""
    for key, value in values.items():
        written = value if isinstance(value, str) else json.dumps(value)
        monkeypatch.setenv(settings.ENV_PREFIX + key, written)
    path = tmp_path / "node.toml"
    path.write_text(text, encoding="utf-8")
    return settings.load(path)


def test_a_kind_can_be_chosen_in_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert from_environment(monkeypatch, tmp_path).priors == LocalPriors()
    assert from_environment(
        monkeypatch, tmp_path, PRIORS__KIND="dimse", PRIORS__HOST="h", PRIORS__TIMEOUT_SECONDS="5"
    ).priors == DimsePriors(host="h", timeout_seconds=5)


def test_the_environment_adds_to_a_table_with_kinds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = '[priors]\nkind = "web"\nurl = "https://x"\n'
    found = from_environment(
        monkeypatch, tmp_path, text, PRIORS__TOKEN="word", PRIORS__MAX_STUDIES="2"
    ).priors
    assert isinstance(found, WebPriors)
    assert (found.url, found.token.get_secret_value(), found.max_studies) == ("https://x", "word", 2)


def test_destinations_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    keys = {
        "name": "a",
        "kind": "dimse",
        "ae_title": "A",
        "host": "h",
        "port": "104",
        "tls": {"ca": "ca.pem"},
    }
    (found,) = from_environment(monkeypatch, tmp_path, DESTINATIONS=[keys]).destinations
    assert isinstance(found, DimseDestination)
    assert found.port == 104
    assert found.tls is not None
    assert found.tls.ca == tmp_path / "ca.pem"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"PRIORS__TOKEN": "Zebrafinch"}, 'XRV_NODE__PRIORS__TOKEN: priors.token: `token` is a key of kind "web", not of "none"'),
        ({"RECEIVE__PRT": "1"}, "XRV_NODE__RECEIVE__PRT: receive.prt: unknown key; accepted here: ae_title"),
        ({"RECEIVE": {"PRT": 1}}, "XRV_NODE__RECEIVE: receive.PRT: unknown key; accepted here: ae_title"),
        ({"RECEIVE__ALLOWED_CALLING_AE": "PACS"}, "XRV_NODE__RECEIVE__ALLOWED_CALLING_AE: a list or a table is needed here, in JSON"),
        ({"PRIORS__KIND": "ftp"}, 'XRV_NODE__PRIORS__KIND: priors.kind: Input should be "none", "dimse" or "web" (got \'ftp\')'),
        ({"PRIORS": '{"token": "Zebrafinch",}'}, "XRV_NODE__PRIORS: priors: a table is needed here; in a variable, one in JSON"),
        (
            {"DESTINATIONS": [{"name": "a", "kind": "folder", "path": "o", "token_file": "Zebrafinch"}]},
            'XRV_NODE__DESTINATIONS: destinations.0.token_file: `token_file` is a key of kind "web" or "fhir", not of "folder"',
        ),
    ],
)  # fmt: skip
def test_a_variable_that_is_out_of_place_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variables: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ConfigError) as error:
        from_environment(monkeypatch, tmp_path, **variables)
    assert str(error.value).partition(": ")[2].startswith(expected)
    assert "Zebrafinch" not in str(error.value)


def test_every_kind_of_destination_has_a_sender() -> None:
    assert set(SENDERS) == set(kinds(Destination).values()) - {ReplyDestination}


def test_every_kind_and_key_is_in_the_default_file() -> None:
    text = settings.default_text()
    for table, (begin, _, sections) in TABLES.items():
        assert begin in text
        for kind, section in sections.items():
            assert f'"{kind}"' in text, f"{table}: kind {kind}"
            missing = [k for k in section.model_fields if not re.search(rf"\b{k}( =|\])", text)]
            assert not missing, f"{table} of kind {kind}"


def test_the_handbook_lists_the_kinds_of_destination() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
    rows = page.partition("| `kind` |")[2].partition("\n\n")[0].splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == list(kinds(Destination))


def test_the_keys_of_priors_in_the_default_file_are_good_for_their_kind() -> None:
    table = settings.default_text().split("[priors]")[1].split("\n\n")[0].partition("\n")[2]
    keys = tomllib.loads("\n".join(line.removeprefix("# ") for line in table.splitlines()))
    for kind, section in kinds(Priors).items():
        own = {key: value for key, value in keys.items() if key in section.model_fields}
        assert isinstance(settings.Settings(priors=own | {"kind": kind}).priors, section)
