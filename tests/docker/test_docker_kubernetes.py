"""The example for Kubernetes, against the image and the settings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from docker_files import KUBERNETES, containers, instructions, of_kind

from xrv_node import settings
from xrv_node.supervisor import DRAIN_SECONDS


def test_it_runs_as_the_image_does_and_no_more() -> None:
    user = int(instructions("USER")[0].split(":")[0])
    assert len(containers()) == 2
    for pod, container in containers():
        outer, inner = pod["securityContext"], container["securityContext"]
        assert (outer["runAsNonRoot"], outer["runAsUser"], outer["fsGroup"]) == (True, user, user)
        assert outer["seccompProfile"] == {"type": "RuntimeDefault"}
        assert inner["readOnlyRootFilesystem"]
        assert not inner["allowPrivilegeEscalation"]
        assert inner["capabilities"] == {"drop": ["ALL"]}
        assert pod["automountServiceAccountToken"] is False


def test_every_mount_has_its_volume_and_every_volume_its_claim() -> None:
    claims = {claim["metadata"]["name"] for claim in of_kind("PersistentVolumeClaim")}
    configs = {config["metadata"]["name"] for config in of_kind("ConfigMap")}
    image = set(instructions("VOLUME")[0].split()) | {"/tmp", "/etc/xrv-node"}
    for pod, container in containers():
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
        assert {mount["mountPath"] for mount in container["volumeMounts"]} <= image
        for volume in volumes.values():
            assert volume.get("persistentVolumeClaim", {}).get("claimName", "xrv-node-data") in claims
            assert volume.get("configMap", {}).get("name", "xrv-node") in configs


def test_the_probes_are_the_health_check_of_the_image() -> None:
    (check,) = instructions("HEALTHCHECK")
    (stateful,) = of_kind("StatefulSet")
    (container,) = stateful["spec"]["template"]["spec"]["containers"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        command = container[probe]["exec"]["command"]
        assert check.endswith("CMD " + str(command).replace("'", '"'))
    assert stateful["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > DRAIN_SECONDS
    assert stateful["spec"]["replicas"] == 1


def test_its_configuration_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in re.findall(r"(XRV_NODE__\w+)=(\S+)", "\n".join(instructions("ENV"))):
        monkeypatch.setenv(name, value)
    (config,) = of_kind("ConfigMap")
    path = tmp_path / "node.toml"
    path.write_text(config["data"]["node.toml"])
    loaded = settings.load(path)
    (_, container), *_ = [pair for pair in containers() if pair[1]["name"] == "node"]
    assert [port["containerPort"] for port in container["ports"]] == [loaded.receive.port]
    assert loaded.receive.allowed_calling_ae


def test_it_is_reached_inside_the_cluster_by_who_may_send() -> None:
    (service,), (policy,) = of_kind("Service"), of_kind("NetworkPolicy")
    pods: dict[str, Any] = of_kind("StatefulSet")[0]["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["type"] == "ClusterIP"
    assert service["spec"]["selector"] == policy["spec"]["podSelector"]["matchLabels"] == pods
    assert all(rule["from"] for rule in policy["spec"]["ingress"])
    assert not [document for document in KUBERNETES if "hostPort" in str(document)]
