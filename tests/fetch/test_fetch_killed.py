"""A courier that is killed in the middle of a study: the next one fetches what is left, and nothing twice."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import forked
from fetch_archive import Archive, serving
from fetching import Node
from made import radiograph
from pydicom import Dataset
from pynetdicom import evt
from serving import wait

from xrv_node.db.store import Store
from xrv_node.fetch.keys import Key


@contextmanager
def courier(config: Path) -> Iterator[subprocess.Popen[Any]]:
    """Run one, and kill it at the end."""
    command = [*forked.COMMAND, "serve", "--only", "courier", "--config", str(config)]
    process = forked.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_what_came_before_a_kill_is_not_fetched_again(empty_database: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    shutil.copyfile(empty_database, data / "xrv-node.sqlite")
    store = Store(f"sqlite:///{data / 'xrv-node.sqlite'}")
    release = threading.Event()

    def hanging(_event: evt.Event, found: Dataset | None) -> Iterator[Any]:
        if len(archive.asked) == 2:
            release.wait(60)
        yield 1
        yield 0xFF00, found

    with serving(Archive([radiograph(number) for number in (1, 2, 3)], gives=hanging)) as archive:
        config = tmp_path / "node.toml"
        config.write_text(
            '[[archives]]\nname = "pacs"\nkind = "dimse"\nae_title = "PACS"\nhost = "127.0.0.1"\n'
            f"port = {archive.port}\n[receive]\nmin_free_mb = 0\nresume_free_mb = 0\n"
        )
        node = Node(store, data, archive.way)
        identifier = node.ask(Key(accession="ACC1"))
        with courier(config):
            wait(lambda: len(archive.asked) == 2, 30, "the second object to be asked for")
            assert node.shown(identifier)["fetched"] == 1
        release.set()
        with courier(config):
            wait(lambda: node.shown(identifier)["state"] == "done", 30, "the rest")
    shown = node.shown(identifier)
    assert (shown["objects"], shown["fetched"], shown["attempts"]) == (3, 3, 0)
    assert archive.asked == [f"1.2.3.1.1.{number}" for number in (1, 2, 2, 3)]
    assert [event["instance"] for event in node.events("instance.received")] == node.instances()
    assert [event["event"] for event in shown["events"]].count("fetch.started") == 2
    store.close()
