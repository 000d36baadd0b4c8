"""compose.yaml: what is wired to what, and that nothing is open to the network."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from docker_files import COMPOSE, DOCKER, ROOT, instructions, node_toml
from peers.peer_programs import program

from xrv_node import settings
from xrv_node.settings import Settings

SERVICES = COMPOSE["services"]


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The node's settings, as in the container."""
    for name, value in re.findall(r"(XRV_NODE__\w+)=(\S+)", "\n".join(instructions("ENV"))):
        monkeypatch.setenv(name, value)
    return settings.load(DOCKER / "node.toml")


def orthanc() -> dict[str, object]:
    """The archive's configuration."""
    read: dict[str, object] = json.loads((DOCKER / "orthanc" / "orthanc.json").read_text())
    return read


def test_every_port_is_published_to_this_machine_alone() -> None:
    published = [port for service in SERVICES.values() for port in service["ports"]]
    assert len(published) == 6
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_every_mounted_file_is_there() -> None:
    mounts = [volume.split(":")[0] for service in SERVICES.values() for volume in service["volumes"]]
    named = set(COMPOSE["volumes"])
    assert named == {source for source in mounts if not source.startswith(".")}
    assert all((DOCKER / source).is_file() for source in mounts if source.startswith("."))


def test_the_node_and_the_archive_know_each_other(node: Settings) -> None:
    archive = orthanc()
    (destination,) = node.destinations
    assert destination.host in SERVICES
    assert (destination.ae_title, destination.port) == (archive["DicomAet"], archive["DicomPort"])
    assert node.receive.allowed_calling_ae == (archive["DicomAet"],)
    assert archive["DicomModalities"] == {"xrv-node": [node.receive.ae_title, "node", node.receive.port]}
    assert SERVICES["node"]["ports"] == [
        f"127.0.0.1:{port}:{port}" for port in (node.receive.port, node.web.port)
    ]
    assert "127.0.0.1:4242:4242" in SERVICES["orthanc"]["ports"]


def test_the_volumes_of_the_node_are_those_of_its_settings(node: Settings) -> None:
    targets = {volume.split(":")[1] for volume in SERVICES["node"]["volumes"]}
    assert {str(node.data_dir), str(node.models_dir)} <= targets
    assert "data_dir" not in node_toml().get("node", {})


def test_the_viewer_reads_from_the_archive() -> None:
    served = (DOCKER / "ohif" / "nginx.conf").read_text()
    assert f"proxy_pass http://orthanc:{orthanc()['HttpPort']};" in served
    assert f"listen {SERVICES['ohif']['ports'][0].split(':')[-1]};" in served
    assert re.search(r"limit_except GET \{ deny all; \}", served)
    version = re.search(r"^OHIF := (\S+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert version
    assert SERVICES["ohif"]["image"] == f"ohif/app:v{version[1]}"


def test_the_viewer_reads_from_the_node_as_whom_the_node_believes(node: Settings) -> None:
    served = (DOCKER / "ohif" / "nginx.conf").read_text()
    assert f"proxy_pass http://node:{node.web.port};" in served
    assert f"listen {SERVICES['ohif']['ports'][1].split(':')[-1]};" in served
    assert re.search(rf"proxy_set_header {node.web.proxy_user_header} viewer;", served, re.IGNORECASE)
    (trusted,) = node.web.trusted_proxies
    assert SERVICES["ohif"]["networks"]["default"]["ipv4_address"] == str(trusted.network_address)
    (subnet,) = COMPOSE["networks"]["default"]["ipam"]["config"]
    assert trusted.subnet_of(type(trusted)(subnet["subnet"]))
    assert node.web.proxy_role == "viewer"


def test_the_node_has_no_more_rights_than_it_needs() -> None:
    node = SERVICES["node"]
    assert node["read_only"] is True
    assert node["cap_drop"] == ["ALL"]
    assert node["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in node


@pytest.mark.peers
@pytest.mark.parametrize("target", ["cpu", "cuda"])
def test_compose_reads_it(target: str, tmp_path: Path) -> None:
    ran = subprocess.run(
        [program("docker-compose"), "--file", str(DOCKER / "compose.yaml"), "config"],
        env={"PATH": "/usr/bin:/bin", "XRV_NODE_TARGET": target, "XRV_NODE_OPTIONS": "--commissioning"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    assert f"image: xrv-node:{target}" in ran.stdout
    assert "command: serve --commissioning" in ran.stdout
