"""The files of docker/, read: what the tests of several of them look at."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
KUBERNETES: list[dict[str, Any]] = [
    document
    for file in sorted((DOCKER / "kubernetes").glob("*.yaml"))
    for document in yaml.safe_load_all(file.read_text())
]


def instructions(word: str) -> list[str]:
    """Arguments of an instruction of the Dockerfile, in order."""
    text = re.sub(r"\\\n\s*", "", (DOCKER / "Dockerfile").read_text())
    return re.findall(rf"^{word} (.*)$", text, re.MULTILINE)


def of_kind(kind: str) -> list[dict[str, Any]]:
    """Kubernetes objects of a kind."""
    return [document for document in KUBERNETES if document["kind"] == kind]


def containers() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Pod specification and container of everything that Kubernetes runs here."""
    pods = [document["spec"]["template"]["spec"] for document in of_kind("StatefulSet") + of_kind("Job")]
    return [(pod, container) for pod in pods for container in pod["containers"]]


def node_toml() -> dict[str, Any]:
    """The node's configuration in compose."""
    return tomllib.loads((DOCKER / "node.toml").read_text())
