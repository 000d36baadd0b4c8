"""The main job end to end, on one machine: a node and an archive, studies by C-STORE, results back.

Everything goes over real associations between separate processes, and what is shown is read from the
objects that came back to the archive. Without files of the user's own it is the short form of `acceptance`.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from xrv_node import models, settings
from xrv_node.acceptance import facts, output
from xrv_node.acceptance import run as acceptance
from xrv_node.acceptance.archive import Receiver, receiving
from xrv_node.acceptance.protocol import Protocol
from xrv_node.db import queries
from xrv_node.db.store import Store
from xrv_node.deliver import scu
from xrv_node.deliver.way import Way
from xrv_node.demo import peers, samples
from xrv_node.demo.collect import ImageResult, StudyReport, image_results, returned
from xrv_node.errors import XrvNodeError
from xrv_node.settings import Settings

SENDER_AE = "DEMOPACS"
ARCHIVE_AE = "DEMOARCHIVE"
QUIET_SECONDS = 2
SETTLE_SECONDS = 5.0
"""Waited for what must not come: more than twice the time after which a study is closed."""
MOST_SECONDS = 900
"""Longer than the slowest machine needs; then something is wrong."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What the demo did."""

    directory: Path
    commissioning: bool
    sent: int
    refused: tuple[str, ...]
    """Files that could not be sent or were not taken, each with why."""
    images: tuple[ImageResult, ...]
    objects: tuple[Path, ...]
    """What the archive received."""
    reports: dict[str, StudyReport]
    """By Study Instance UID."""
    protocol: Protocol | None
    """Of the phantoms that were sent; None where files of the user's own were."""
    page: Path | None
    """The protocol, to be read."""
    config: Path
    """Of the node: ``serve`` goes on with it."""
    address: str
    """Of the node's pages, while it is served."""
    seconds: float


def run(directory: Path, images: Sequence[Path] = (), say: Callable[[str], None] = lambda _: None) -> Shown:
    """Send studies through a node of its own and collect what comes back.

    Parameters
    ----------
    directory
        For all that the demo writes; made when it is not there.
    images
        The user's own PNG, JPEG or DICOM files, or folders of them; phantoms when empty.
    say
        Gets a line as each step begins.

    Raises
    ------
    XrvNodeError
        When the node does not come up or the results do not arrive.
    """
    began = monotonic()
    directory.mkdir(parents=True, exist_ok=True)
    archived = directory / "archive"
    inputs, refused = samples.write(directory / "sent", images)
    with receiving(archived, ARCHIVE_AE) as receiver:
        config = _config(directory, receiver.port, unknown="analyse" if images else "skip")
        loaded = settings.load(config)
        commissioning = bool(models.missing(loaded.models.names, loaded.models_dir))
        say("starting the node")
        with peers.node(config, directory / "node.log", commissioning=commissioning) as node_port:
            peer = scu.Peer(loaded.receive.ae_title, "127.0.0.1", node_port)
            if images:
                protocol = None
                say(f"sending {len(inputs)} images to {loaded.receive.ae_title} at 127.0.0.1:{node_port}")
                out = list(scu.send(peer, inputs, calling_ae=SENDER_AE))
                sent, refused = sum(row.good for row in out), [*refused, *_not_taken(out)]
                say("waiting for the results")
                _wait(loaded)
            else:
                protocol = _phantoms(directory, loaded, peer, receiver, say)
                sent = sum(len(row.images) for row in protocol.rows)
        with _database(loaded) as store, store.read() as db:
            studies = [queries.study(db, row["study"]) for row in reversed(queries.studies(db, limit=None))]
    objects = tuple(receiver.files)
    back = returned(objects)
    return Shown(
        directory=directory,
        commissioning=commissioning,
        sent=sent,
        refused=tuple(refused),
        images=image_results(studies, back, directory / "overlays"),
        objects=objects,
        reports=back.reports,
        protocol=protocol,
        page=output.write(protocol, directory)[0] if protocol else None,
        config=config,
        address=f"http://{loaded.web.host}:{loaded.web.port}",
        seconds=monotonic() - began,
    )


def _phantoms(
    directory: Path, loaded: Settings, peer: scu.Peer, receiver: Receiver, say: Callable[[str], None]
) -> Protocol:
    plan = acceptance.Plan(
        Way(peer), short=True, settle_seconds=SETTLE_SECONDS, facts=lambda: facts.of_node(loaded)
    )
    return acceptance.run(plan, receiver, directory / "sent", say)


def _not_taken(sent: Sequence[scu.Sent]) -> list[str]:
    return [f"{row.path.name}: {row.says}" for row in sent if not row.good]


def _config(directory: Path, archive_port: int, unknown: str) -> Path:
    path = directory / "node.toml"
    path.write_text(
        f"""\
[node]
name = "demo"
data_dir = "node"

[receive]
port = 0                          # any free one

[study]
quiet_seconds = {QUIET_SECONDS}

[frontal]
unknown = "{unknown}"

[models]
dir = {json.dumps(str(settings.load().models_dir))}

[web]
enabled = true
port = {_free_port()}

[[destinations]]
name = "archive"
kind = "dimse"
ae_title = "{ARCHIVE_AE}"
host = "127.0.0.1"
port = {archive_port}
""",
        encoding="utf-8",
    )
    return path


def _free_port() -> int:
    """One that nobody listens on now, so that the pages have an address that can be told."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def _wait(loaded: Settings) -> None:
    """Until every study is reported and every result delivered or given up."""
    deadline = monotonic() + MOST_SECONDS
    with _database(loaded) as store:
        while monotonic() < deadline:
            with store.read() as db:
                found = queries.counts(db)
            under_way = sum(n for state, n in found["studies"].items() if state not in ("reported", "failed"))
            waiting = sum(n for state, n in found["deliveries"].items() if state.endswith("waiting"))
            if not under_way and not waiting:
                return
            sleep(0.2)
    raise XrvNodeError(f"no results after {MOST_SECONDS} s; node.log in {loaded.data_dir.parent} says why")


@contextmanager
def _database(loaded: Settings) -> Iterator[Store]:
    store = Store(loaded.database_url)
    try:
        yield store
    finally:
        store.close()
