"""The node under test, as a user runs it: ``xrv-node`` commands on a configuration file, nothing imported."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import forked
import pytest
from peer_programs import HOST, alive, running, until
from serving import with_networks

AE_TITLE = "XRVNODE"
RESULTS_SECONDS = 240
"""Longer than a busy two-core machine needs for a study with three images."""


@dataclass(frozen=True)
class Destination:
    """Where the node sends its results."""

    name: str
    ae_title: str
    port: int
    send: Sequence[str] = ("report", "sr", "seg")


@dataclass(frozen=True)
class Node:
    """A running node."""

    config: Path
    port: int
    log: Path

    @property
    def data_dir(self) -> Path:
        """Where it keeps its state; paths in its answers are relative to it."""
        return self.config.parent / "node"

    def json(self, *arguments: str) -> Any:
        """What a command says with ``--json``."""
        ran = command(*arguments, "--config", self.config, "--json")
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    def study(self, uid: str) -> dict[str, Any]:
        """All that the node knows of a study."""
        found: dict[str, Any] = self.json("studies", "show", uid)
        return found

    def events(self, event: str, **match: str) -> list[dict[str, Any]]:
        """Audit events of a kind, oldest first; only those with these fields."""
        rows = self.json("audit", "list", "--event", event, "--limit", "10000")["items"]
        return [row for row in rows if all(row[key] == value for key, value in match.items())]

    def reported(
        self, uid: str, *destinations: str, seconds: float = RESULTS_SECONDS, pause: float = 2
    ) -> dict[str, Any]:
        """Wait until the study is reported and its results have arrived at these destinations.

        Each look costs a second of the processor that the networks are waiting for: with many images, pause long.
        """

        def look() -> dict[str, Any] | None:
            row = self.study(uid)
            if row["state"] not in ("reported", "failed"):
                return None
            states = {
                d["state"]
                for r in row["results"]
                for d in r["deliveries"]
                if d["destination"] in destinations
            }
            return None if "waiting" in states else row

        return until(f"results of study {uid}", look, seconds=seconds, pause=pause)


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run an ``xrv-node`` command."""
    return forked.run(
        [*forked.COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def write_config(
    directory: Path,
    destinations: Sequence[Destination],
    *,
    ae_title: str = AE_TITLE,
    callers: Sequence[str] = (),
) -> Path:
    """Write a ``node.toml`` into a directory."""
    lines = [
        '[node]\ndata_dir = "node"',
        f"[receive]\nae_title = {json.dumps(ae_title)}\nport = 0\nallowed_calling_ae = {json.dumps(list(callers))}",
        "[study]\nquiet_seconds = 2",
        '[log]\nlevel = "debug"',
    ]
    for one in destinations:
        lines.append(
            f'[[destinations]]\nname = "{one.name}"\nkind = "dimse"\nae_title = "{one.ae_title}"\n'
            f'host = "{HOST}"\nport = {one.port}\nsend = {json.dumps(list(one.send))}'
        )
    path = directory / "node.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


@contextmanager
def serving(config: Path) -> Iterator[Node]:
    """``xrv-node serve`` until the end of the block, where SIGTERM must end it with exit code 0.

    Untrained networks stand in for the released ones: peers see results of the same kinds and shapes.
    """
    log, ready = config.with_name("node.log"), config.with_name("ready.txt")
    serve = [*forked.COMMAND, "serve", "--config", config]
    with running(serve, log, stdout=ready, environment=with_networks(os.environ)) as process:

        def look() -> str | None:
            alive(process, log)
            return next((line for line in ready.read_text().splitlines() if " is ready: " in line), None)

        line = until("ready line", look, seconds=60)
        yield Node(config, int(line.split(",")[0].rpartition(":")[2]), log)
    if process.returncode != 0:
        pytest.fail(f"SIGTERM ended the node with {process.returncode}: {log.read_text()[-2000:]}")
