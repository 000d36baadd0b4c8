"""The Dockerfile against the project: what it copies, what it leaves out, and what it promises."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from types import ModuleType

import pytest
from docker_files import DOCKER, ROOT, instructions

from xrv_node import settings


def locked() -> dict[str, str]:
    """Name and version of everything in the lock."""
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))


def test_what_it_copies_is_there_and_gets_past_the_ignore_file() -> None:
    ignore = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
    allowed = {line[1:] for line in ignore if line.startswith("!")}
    copied = {
        source
        for line in instructions("COPY")
        if not line.startswith("--from")
        for source in line.split()[:-1]
    }
    assert copied == allowed
    assert all((ROOT / source).exists() for source in copied)


def test_the_wheel_finds_what_it_is_built_from() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    copied = " ".join(instructions("COPY")).split()
    needed = [project["project"]["readme"], *project["project"]["license-files"]]
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {*needed, *wheel["packages"], *wheel["shared-data"]} <= set(copied)


def test_the_cpu_image_leaves_out_torch_and_what_comes_with_cuda() -> None:
    programs = [re.split(r" > \S+$", line)[0] for line in instructions("RUN") if line.startswith("awk")]
    kept, torch = (
        subprocess.run(program, shell=True, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for program in programs
    )
    names = set(re.findall(r"^([a-z0-9-]+)==", kept, re.MULTILINE))
    out = {n for n in locked() if re.match("nvidia-|cuda-|(torch|torchvision|triton)$", n)}
    assert len(out) > 15
    assert names == set(locked()) - out
    assert torch.split() == [f"{name}=={locked()[name]}" for name in ("torch", "torchvision")]
    assert kept.count("--hash=") >= len(names)


def test_it_is_nobody_and_starts_the_node() -> None:
    (user,) = instructions("USER")
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    (entry,), (command,) = instructions("ENTRYPOINT"), instructions("CMD")
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert json.loads(entry)[0] in scripts
    assert json.loads(command) == ["serve"]


def test_its_volumes_and_its_port_are_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in re.findall(r"(XRV_NODE__\w+)=(\S+)", "\n".join(instructions("ENV"))):
        monkeypatch.setenv(name, value)
    loaded = settings.load()
    (volumes,) = instructions("VOLUME")
    assert volumes.split() == [str(loaded.data_dir), str(loaded.models_dir)]
    assert instructions("EXPOSE") == [str(loaded.receive.port)]
    assert loaded.receive.host == "127.0.0.1"


def test_every_step_can_be_replayed(replay: ModuleType) -> None:
    stages = replay.parse((DOCKER / "Dockerfile").read_text())
    assert list(stages)[-2:] == ["cuda", "cpu"]
    steps = [step for stage in stages.values() for step in stage.steps]
    assert len([word for word, _ in steps if word == "RUN"]) == len(instructions("RUN"))
    assert replay.flags("--from=wheel --chown=1:1 /a /b/") == ({"from": "wheel", "chown": "1:1"}, "/a /b/")
    with pytest.raises(ValueError, match="ADD"):
        replay.parse("FROM debian:bookworm-slim AS x\nADD a b\n")


@pytest.fixture
def replay() -> ModuleType:
    """docker/replay.py."""
    spec = importlib.util.spec_from_file_location("replay", DOCKER / "replay.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module
