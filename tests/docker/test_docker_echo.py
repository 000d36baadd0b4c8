"""The health check of the container, against a receiver."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from certificates import pair
from docker_files import DOCKER

from xrv_node import settings
from xrv_node.db.store import Store
from xrv_node.receive import server as receiver
from xrv_node.spool import Spool


@pytest.fixture
def port(tmp_path: Path, store: Store, spool: Spool) -> Iterator[int]:
    """A receiver that takes one caller, at this port."""
    config = tmp_path / "node.toml"
    config.write_text('[receive]\nport = 0\nae_title = "HERE"\nallowed_calling_ae = ["PACS"]\n')
    server = receiver.start(settings.load(config), store, spool)
    yield int(server.server_address[1])
    receiver.drain(server, 5)


def check(directory: Path, port: int, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run it, in the directory of the configuration as in the container."""
    environment = os.environ | {"XRV_NODE__RECEIVE__PORT": str(port)} | settings
    return subprocess.run(
        [sys.executable, str(DOCKER / "echo.py")],
        cwd=directory, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_receiver_that_answers_is_healthy(tmp_path: Path, port: int) -> None:
    ran = check(tmp_path, port)
    assert (ran.returncode, ran.stdout.strip()) == (0, "C-ECHO: 0x0000")


def test_it_finds_a_receiver_that_listens_everywhere(tmp_path: Path, port: int) -> None:
    assert check(tmp_path, port, XRV_NODE__RECEIVE__HOST="0.0.0.0").returncode == 0


def test_it_speaks_tls_with_a_receiver_that_does(tmp_path: Path, store: Store, spool: Spool) -> None:
    own = pair(tmp_path, "node", "DNS:node.example")
    config = tmp_path / "node.toml"
    table = f'certificate = "{own.certificate}"\nkey = "{own.key}"\nca = "{own.certificate}"'
    config.write_text(f"[receive]\nport = 0\n[receive.tls]\n{table}\n")
    server = receiver.start(settings.load(config), store, spool)
    ran = check(tmp_path, int(server.server_address[1]))
    receiver.drain(server, 5)
    assert (ran.returncode, ran.stdout.strip()) == (0, "C-ECHO: 0x0000"), ran.stdout


def test_a_receiver_of_another_name_or_none_is_not(tmp_path: Path, port: int) -> None:
    other = check(tmp_path, port, XRV_NODE__RECEIVE__AE_TITLE="ELSEWHERE")
    assert other.returncode == 1
    assert "not called ELSEWHERE" in other.stdout
    assert check(tmp_path, 1).returncode == 1
