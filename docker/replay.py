"""Go through the Dockerfile's steps where there is no container engine: each stage in a fresh Debian root.

    sudo python3 docker/replay.py cuda    (or cpu, which needs the index that PyTorch keeps for CPU builds)

Every step is read from the Dockerfile, so that the two cannot part. At the end the node runs as the image
runs it (its user, its environment, no capabilities, a root that cannot be written), untrained; it has to pass
its own health check, and to end with 0 on SIGTERM. Needs debootstrap, and for a while 20 GB below --work;
downloads stay in --cache.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import socket
import string
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep

PROJECT = Path(__file__).resolve().parents[1]
DONE = {"ARG", "COPY", "ENV", "RUN", "WORKDIR"}
NOTED = {"CMD", "ENTRYPOINT", "EXPOSE", "HEALTHCHECK", "USER", "VOLUME"}
"""What changes nothing in the image but what it says of itself."""
READY_SECONDS, DRAIN_SECONDS = 180, 90
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LOCKED = "--clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all"


@dataclass
class Stage:
    """A stage of a Dockerfile, and what its steps have made of it."""

    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)
    root: Path | None = None
    variables: dict[str, str] = field(default_factory=lambda: {"PATH": PATH})
    directory: str = "/"
    notes: dict[str, str] = field(default_factory=dict)


def parse(text: str) -> dict[str, Stage]:
    """Read a Dockerfile: its stages by name, in order, with their instructions.

    Raises
    ------
    ValueError
        At an instruction that is not known here: a replay that leaves a step out shows nothing.
    """
    found: dict[str, Stage] = {}
    kept = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in filter(None, re.sub(r"\\\n\s*", "", kept).splitlines()):
        word, _, argument = line.partition(" ")
        if word == "FROM":
            base, _, name = argument.partition(" AS ")
            found[name] = Stage(base)
        elif word in DONE | NOTED:
            found[list(found)[-1]].steps.append((word, argument))
        else:
            raise ValueError(f"the replay does not know {word}")
    return found


def flags(argument: str) -> tuple[dict[str, str], str]:
    """Split the ``--name=value`` that an argument begins with from the rest of it."""
    begun = re.match(r"(?:--\S+\s+)*", argument)
    front = begun[0] if begun else ""
    return dict(re.findall(r"--([a-z-]+)=(\S+)", front)), argument[len(front) :]


@dataclass(frozen=True)
class Replay:
    """Where a replay happens."""

    stages: dict[str, Stage]
    work: Path
    cache: Path

    def build(self, name: str) -> Stage:
        """Make the root of a stage, and of those it comes from, unless that is done."""
        stage = self.stages[name]
        if stage.root is not None:
            return stage
        root = self.work / name
        if stage.base in self.stages:
            base = self.build(stage.base)
            shell(f"cp --archive {base.root} {root}")
            stage.variables, stage.directory, stage.notes = {**base.variables}, base.directory, {**base.notes}
        else:
            shell(f"cp --archive {self.debian(stage.base)} {root}")
        stage.root = root
        for word, argument in stage.steps:
            began = monotonic()
            filled = string.Template(argument).safe_substitute(stage.variables)
            if word in NOTED:
                stage.notes[word] = filled
                continue
            getattr(self, word.lower())(stage, root, filled)
            print(f"{name}: {word} {filled[:100]}  [{monotonic() - began:.0f} s]", flush=True)
        return stage

    def debian(self, image: str) -> Path:
        """Return a minimal root of the release that an image is named after."""
        root = self.work / "debian"
        if not root.exists():
            suite = re.fullmatch(r"debian:(\w+)-slim", image)
            if suite is None:
                raise ValueError(f"the replay makes Debian roots, not {image}")
            shell(f"debootstrap --variant=minbase {suite[1]} {root}", quiet=True)
            shutil.copy("/etc/resolv.conf", root / "etc" / "resolv.conf")
            shutil.copy(CERTIFICATES, root / "certificates.crt")
        return root

    def arg(self, stage: Stage, _root: Path, argument: str) -> None:
        """ARG: with its default."""
        name, _, default = argument.partition("=")
        stage.variables.setdefault(name, default)

    def env(self, stage: Stage, _root: Path, argument: str) -> None:
        """ENV."""
        stage.variables |= dict(word.split("=", 1) for word in shlex.split(argument))

    def workdir(self, stage: Stage, root: Path, argument: str) -> None:
        """WORKDIR."""
        stage.directory = argument
        (root / argument.lstrip("/")).mkdir(parents=True, exist_ok=True)

    def copy(self, stage: Stage, root: Path, argument: str) -> None:
        """COPY: a folder's content, or files, from the project or from another stage."""
        options, rest = flags(argument)
        *sources, target = rest.split()
        origin = self.build(options["from"]).root if "from" in options else PROJECT
        into = root / os.path.join(stage.directory, target).lstrip("/")
        (into if target.endswith("/") else into.parent).mkdir(parents=True, exist_ok=True)
        for source in sources:
            path = Path(f"{origin}/{source.lstrip('/')}")
            # Links instead of copies between roots: gigabytes that nobody changes any more.
            how = "--link" if "from" in options else ""
            shell(f"cp --archive {how} {path}{'/.' if path.is_dir() else ''} {into}")

    def run(self, stage: Stage, root: Path, argument: str) -> None:
        """RUN, as root in the root, with the machine's own way to the registries."""
        options, command = flags(argument)
        script = ["set -e", f"mount -t proc proc {root}/proc"]
        if "mount" in options:
            target = dict(part.split("=", 1) for part in options["mount"].split(","))["target"]
            script.append(f"mkdir -p {root}{target} && mount --bind {self.cache} {root}{target}")
        inside = f"cd {stage.directory} && {command}"
        script.append(f"exec chroot {root} /bin/sh -c {shlex.quote(inside)}")
        trusted = dict.fromkeys(("PIP_CERT", "SSL_CERT_FILE"), "/certificates.crt")
        shell("\n".join(script), {**stage.variables, **trusted}, quiet=True, unshare=True)


def shell(
    command: str, variables: dict[str, str] | None = None, *, quiet: bool = False, unshare: bool = False
) -> None:
    """Run a shell command; with `unshare` its mounts are its own. What fails ends the replay."""
    line = ["unshare", "--mount", "sh", "-c", command] if unshare else ["sh", "-c", command]
    ran = subprocess.run(
        line,
        env=None if variables is None else {**proxies(), **variables},
        stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT if quiet else None,
        text=True,
        check=False,
    )
    if ran.returncode != 0:
        sys.exit(f"{(ran.stdout or '')[-4000:]}\nthis failed with {ran.returncode}: {command}")


def proxies() -> dict[str, str]:
    """Return what the environment says of proxies and of registries to use instead of the public ones."""
    wanted = re.compile(r"(https?|no)_proxy|(pip|uv)_.*index", re.IGNORECASE)
    return {name: value for name, value in os.environ.items() if wanted.match(name)}


def serve(stage: Stage, work: Path) -> None:
    """Run the node as the image would; health check, what it may not do, and SIGTERM."""
    root = stage.root
    user = stage.notes["USER"]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    script = ["set -e", f"mount --bind {root} {root}", f"mount -t proc proc {root}/proc"]
    script += [f"mount -t tmpfs tmpfs {root}/{place}" for place in ("tmp", "dev/shm")]
    for volume in stage.notes["VOLUME"].split():
        script.append(f"cp -a {root}{volume} {work}{volume} && mount --bind {work}{volume} {root}{volume}")
    script.append(f"mount -o remount,bind,ro {root}")
    as_user = f"setpriv --reuid {user.partition(':')[0]} --regid {user.partition(':')[2]} {LOCKED}"
    command = [*json.loads(stage.notes["ENTRYPOINT"]), *json.loads(stage.notes["CMD"]), "--commissioning"]
    inside = f"cd {stage.directory} && exec {as_user} {shlex.join(command)}"
    script.append(f"exec chroot {root} /bin/sh -c {shlex.quote(inside)}")
    output = work / "node.log"
    with output.open("wb") as log:
        outer = subprocess.Popen(
            ["/usr/bin/unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", "\n".join(script)],
            env={**stage.variables, "XRV_NODE__RECEIVE__PORT": str(port)},
            stdout=log,
            stderr=log,
        )
    began = monotonic()
    while " is ready: " not in output.read_text():
        if outer.poll() is not None or monotonic() - began > READY_SECONDS:
            sys.exit(f"{output.read_text()[-4000:]}\nthe node did not become ready")
        sleep(0.5)
    line = next(line for line in output.read_text().splitlines() if " is ready: " in line)
    print(f"after {monotonic() - began:.0f} s: {line}")
    (node,) = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()
    enter = ["nsenter", "--target", node, "--mount", "--root", "--wd", "--", *as_user.split()]
    variables = {**stage.variables, "XRV_NODE__RECEIVE__PORT": str(port)}

    def ask(what: str, command: Sequence[str], *, good: bool = True) -> None:
        ran = subprocess.run([*enter, *command], env=variables, capture_output=True, text=True, check=False)
        print(f"{what}: {(ran.stdout + ran.stderr).strip()} [{ran.returncode}]")
        if (ran.returncode == 0) != good:
            sys.exit(f"that is not what it should say; the node said\n{output.read_text()[-4000:]}")

    ask("user", ["id"])
    ask("health check", json.loads(stage.notes["HEALTHCHECK"].partition("CMD ")[2]))
    ask("the root cannot be written", ["touch", "/opt/xrv-node/x", "/etc/xrv-node/x"], good=False)
    os.kill(int(node), signal.SIGTERM)
    began, code = monotonic(), outer.wait(DRAIN_SECONDS)
    print(f"SIGTERM: ended with {code} after {monotonic() - began:.0f} s")
    sys.exit(code)


def main() -> None:
    """Replay a target."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("target", nargs="?", default="cuda", choices=["cpu", "cuda"])
    parser.add_argument("--work", default=tempfile.gettempdir(), help="a folder on a disk with 20 GB of room")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "uv", help="uv's downloads")
    given = parser.parse_args()
    given.cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="xrv-node-replay-", dir=given.work) as folder:
        work = Path(folder)
        work.chmod(0o755)
        stages = parse((PROJECT / "docker" / "Dockerfile").read_text())
        stage = Replay(stages, work, given.cache).build(given.target)
        shell(f"du --summarize --human-readable {stage.root}")
        serve(stage, work)


if __name__ == "__main__":
    main()
