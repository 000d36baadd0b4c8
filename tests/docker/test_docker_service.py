"""The systemd unit, read by systemd."""

from __future__ import annotations

import re
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest
from docker_files import DOCKER
from peers.peer_programs import program

from xrv_node.supervisor import DRAIN_SECONDS, MISCONFIGURED

UNIT = DOCKER / "xrv-node.service"


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The unit, with a program that is there: systemd looks for it."""
    path = tmp_path / UNIT.name
    path.write_text(UNIT.read_text().replace("/opt/xrv-node/bin/python", "/bin/true"))
    return path


def service() -> dict[str, str]:
    """Its [Service] section, with keys in lower case."""
    parser = ConfigParser(interpolation=None)
    parser.read(UNIT)
    return dict(parser["Service"])


@pytest.mark.peers
def test_systemd_finds_nothing_wrong(installed: Path) -> None:
    ran = subprocess.run(
        [program("systemd-analyze"), "verify", str(installed)], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


@pytest.mark.peers
def test_systemd_finds_it_well_protected(installed: Path) -> None:
    """systemd's own scale: from 0, nothing is exposed, to 10; below 2 it says "OK", its second best."""
    ran = subprocess.run(
        [program("systemd-analyze"), "security", "--offline=yes", "--no-pager", str(installed)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    level = re.search(r"Overall exposure level for xrv-node.service: ([\d.]+)", ran.stdout)
    assert level
    assert float(level[1]) < 2


def test_a_reload_is_what_the_node_takes_for_one() -> None:
    assert service()["execreload"] == "/bin/kill -HUP $MAINPID"


def test_it_leaves_the_node_time_to_drain() -> None:
    unit = service()
    assert int(unit["timeoutstopsec"]) > DRAIN_SECONDS
    assert unit["killmode"] == "mixed"
    assert unit["restartpreventexitstatus"] == str(MISCONFIGURED)


def test_its_state_is_where_the_package_s_configuration_says() -> None:
    build = (DOCKER / "debian" / "build").read_text()
    assert f'data_dir = "/var/lib/{service()["statedirectory"]}"' in build
