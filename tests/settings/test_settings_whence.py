"""Each key in force, and whence it comes."""

from __future__ import annotations

from pathlib import Path

import pytest

from xrv_node.settings import load, whence

FILE = """
[receive]
port = 1234
[priors]
kind = "web"
url = "https://archive.example/dicom-web"
token = "Zebrafinch"
[database]
url = "postgresql://node:Zebrafinch@db/node"
[[destinations]]
name = "pacs"
kind = "dimse"
ae_title = "PACS"
host = "pacs.example"
port = 104
"""


def test_each_key_says_whence_it_comes_and_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "node.toml").write_text(FILE, encoding="utf-8")
    monkeypatch.setenv("XRV_NODE__RECEIVE__AE_TITLE", "OTHER")
    rows = {row["key"]: row for row in whence.rows(load(tmp_path / "node.toml"))}
    assert rows["receive.port"] == {
        "key": "receive.port",
        "value": "1234",
        "source": "file",
        "variable": None,
    }
    assert rows["receive.ae_title"]["source"] == "environment"
    assert rows["receive.ae_title"]["variable"] == "XRV_NODE__RECEIVE__AE_TITLE"
    assert rows["receive.host"]["source"] == "default"
    assert rows["destinations.pacs.host"] == {
        "key": "destinations.pacs.host",
        "value": "pacs.example",
        "source": "file",
        "variable": None,
    }
    assert rows["destinations.pacs.active"]["source"] == "default"
    assert rows["log.json"]["value"] == "false"
    assert "Zebrafinch" not in str(rows)
    assert rows["database.url"]["value"] == "postgresql://node:***@db/node"
