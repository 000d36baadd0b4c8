"""kill -9 of the process that answers over HTTP, in the middle of a body: what was acknowledged is there."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.request import urlopen

import forked
import pytest
from fault_site import Rooms
from ports import free_port
from serving import wait
from stowing import Site, dataset_of, file, related


@pytest.fixture
def site(rooms: Rooms, tmp_path: Path) -> Site:
    """Where the process listens."""
    return Site(free_port(), rooms.store, rooms.spool)


@contextmanager
def answering(site: Site) -> Iterator[subprocess.Popen[bytes]]:
    """A process that answers over HTTP; it is killed in the end."""
    config = site.spool.root / "node.toml"
    config.write_text(
        f'[node]\ndata_dir = "."\n[database]\nurl = "{site.store.engine.url}"\n'
        f"[web]\nenabled = true\nport = {site.port}\n"
    )
    command = [*forked.COMMAND, "serve", "--only", "web", "--config", str(config)]
    with (site.spool.root / "web.log").open("ab") as log:
        process = forked.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait(lambda: process.poll() is not None or answers(site), 60, "an answer over HTTP")
        assert process.poll() is None, (site.spool.root / "web.log").read_text()[-2000:]
        yield process
    finally:
        process.kill()
        process.wait()


def answers(site: Site) -> bool:
    with suppress(OSError), urlopen(f"http://127.0.0.1:{site.port}/health/live") as answer:
        return bool(answer.status == 200)
    return False


def drafts(site: Site) -> list[Path]:
    return [path for path in site.files() if path.suffix == ".part"]


def test_a_killed_store_leaves_what_was_whole_and_nothing_half(rooms: Rooms, site: Site) -> None:
    sent = {f"1.2.3.{study}.1.1": file(study=study) for study in (1, 2)}
    body = related(*sent.values())
    with answering(site), site.begun(body[:-9000], len(body)):
        wait(
            lambda: site.instances() and drafts(site), 60, "the first object on record, the second on its way"
        )
    assert site.instances() == ["1.2.3.1.1.1"]
    with answering(site):
        assert drafts(site) == []  # nobody was told of it
        answer = site.post(body)  # what the client does that had no answer
        assert (answer.status, answer.listed["stored"]) == (200, list(sent))
    rooms.acknowledged |= {uid: hashlib.sha256(dataset_of(one)).hexdigest() for uid, one in sent.items()}
    rooms.close_studies()
    rooms.work()
    assert rooms.broken(killed=True) == []
