"""The main job end to end, on one machine: a node and an archive, studies by C-STORE, results back.

Everything goes over real associations between separate processes, and what is shown is read from the
objects that came back to the archive.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from xrv_node import models, settings
from xrv_node.db import queries
from xrv_node.db.store import Store
from xrv_node.deliver import scu
from xrv_node.demo import peers, samples
from xrv_node.demo.collect import ImageResult, StudyReport, image_results, returned
from xrv_node.errors import XrvNodeError
from xrv_node.settings import Settings

SENDER_AE = "DEMOPACS"
QUIET_SECONDS = 2
MOST_SECONDS = 900
"""Longer than the slowest machine needs; then something is wrong."""


@dataclass(frozen=True, slots=True)
class Outcome:
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
    seconds: float


def run(directory: Path, images: Sequence[Path] = (), say: Callable[[str], None] = lambda _: None) -> Outcome:
    """Send studies through a node of its own and collect what comes back.

    Parameters
    ----------
    directory
        For all that the demo writes; made when it is not there.
    images
        The user's own PNG, JPEG or DICOM files, or folders of them; synthetic radiographs when empty.
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
    say("making the images")
    inputs, refused = samples.write(directory / "sent", images)
    with peers.archive(archived) as port:
        config = _config(directory, port, unknown="analyse" if images else "skip")
        loaded = settings.load(config)
        commissioning = bool(models.missing(loaded.models.names, loaded.models_dir))
        say("starting the node")
        with peers.node(config, directory / "node.log", commissioning=commissioning) as node_port:
            say(f"sending {len(inputs)} images to {loaded.receive.ae_title} at 127.0.0.1:{node_port}")
            peer = scu.Peer(loaded.receive.ae_title, "127.0.0.1", node_port)
            sent = list(scu.send(peer, inputs, calling_ae=SENDER_AE))
            say("waiting for the results")
            _wait(loaded)
        with _database(loaded) as store, store.read() as db:
            studies = [queries.study(db, row["study"]) for row in reversed(queries.studies(db, limit=None))]
    objects = tuple(sorted(archived.rglob("*.dcm")))
    back = returned(objects)
    return Outcome(
        directory=directory,
        commissioning=commissioning,
        sent=sum(row.good for row in sent),
        refused=(*refused, *(f"{row.path.name}: {row.says}" for row in sent if not row.good)),
        images=image_results(studies, back, directory / "overlays"),
        objects=objects,
        reports=back.reports,
        seconds=monotonic() - began,
    )


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

[[destinations]]
name = "archive"
kind = "dimse"
ae_title = "{peers.ARCHIVE_AE}"
host = "127.0.0.1"
port = {archive_port}
""",
        encoding="utf-8",
    )
    return path


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
