"""Files that are no longer as they were written: nothing is said of them, and nothing of them is sent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from analysed import Site, image, settings
from made import incoming
from sqlalchemy import select
from typer.testing import CliRunner
from worded import said

from xrv_node.cli import app
from xrv_node.db import progress, queue
from xrv_node.db.store import Store
from xrv_node.db.tables import Delivery, Instance, Job, JobState, ResultRow, Study
from xrv_node.deliver.folder import FolderSender
from xrv_node.errors import XrvNodeError
from xrv_node.jobs import outbox
from xrv_node.reasons import as_is
from xrv_node.receive import intake
from xrv_node.settings.destinations import FolderDestination
from xrv_node.spool import Spool

FLIP = -5
"""A byte of the pixels."""


@pytest.fixture
def site(store: Store, spool: Spool) -> Site:
    return Site(store, spool)


def path_of(site: Site, table: type[Instance] | type[ResultRow]) -> Path:
    with site.store.read() as db:
        return site.spool.absolute(db.scalars(select(table.path)).one())


def flip(path: Path, place: int = FLIP) -> bytes:
    """Change a bit; return what was there."""
    data = path.read_bytes()
    changed = bytearray(data)
    changed[place] ^= 1
    path.write_bytes(changed)
    return data


def jobs(site: Site) -> list[tuple[str, str, str]]:
    with site.store.read() as db:
        return [(j.kind, j.state, said(j.error)) for j in db.scalars(select(Job).order_by(Job.id))]


@pytest.mark.parametrize(
    "place",
    [lambda _: FLIP, lambda data: data.index(b"CHEST"), lambda data: data.index(b"1.2.840.10008.1.2.1") + 18],
    ids=["pixels", "header", "transfer syntax"],
)
def test_a_changed_image_is_not_analysed_until_it_comes_again(
    site: Site, place: Callable[[bytes], int]
) -> None:
    sent = image(1)
    intake.accept(site.store, site.spool, settings().frontal, incoming(sent))
    kept = path_of(site, Instance)
    flip(kept, place(kept.read_bytes()))
    site.analyse()
    ((kind, state, why),) = jobs(site)
    assert (kind, state) == ("analyse", "parked")
    assert "is not as it was received (SHA-256)" in why
    assert intake.accept(site.store, site.spool, settings().frontal, incoming(sent)).outcome == "duplicate"
    with site.store.begin() as db:
        progress.retry(db, db.scalars(select(Job.id)).one())
    site.analyse()
    assert [state for _, state, _ in jobs(site)] == ["done"]


def test_an_image_that_changes_after_its_analysis_is_not_reported(site: Site) -> None:
    """Its results would have the patient of the changed header."""
    site.analyse(image(1))
    kept = path_of(site, Instance)
    whole = flip(kept, kept.read_bytes().index(b"Zebrafinch"))
    with pytest.raises(XrvNodeError, match="is not as it was received"):
        site.report(1)
    with site.store.begin() as db:
        queue.close(
            db.scalars(select(Job).where(Job.kind == "report")).one(), JobState.CANCELLED, as_is("test")
        )
        db.scalars(select(Study)).one().state = "reported"
    kept.write_bytes(whole)
    assert len(site.report(1)) == 1


def test_a_changed_result_is_not_sent_until_it_is_made_again(site: Site, tmp_path: Path) -> None:
    site.analyse(image(1))
    site.report(1)
    flip(path_of(site, ResultRow), 900)
    sender = FolderSender(FolderDestination(name="out", path=tmp_path / "out"), "X")

    def send() -> str:
        claims = queue.claim(site.store, "deliver", owner="t", destination="out")
        outbox.deliver(site.store, site.spool, "out", sender, claims)
        with site.store.read() as db:
            return db.scalars(select(Delivery.state)).one()

    assert send() == "rejected"
    assert not (tmp_path / "out").exists()
    kind, state, why = jobs(site)[-1]
    assert (kind, state) == ("deliver", "parked")
    assert "is not as it was made (SHA-256)" in why
    site.report(1)
    with site.store.begin() as db:
        progress.retry(db, db.scalars(select(Job.id).where(Job.kind == "deliver")).one())
    assert send() == "delivered"


def test_the_doctor_reads_every_file_when_it_is_told_to(site: Site, tmp_path: Path) -> None:
    site.analyse(image(1))
    site.report(1)
    (tmp_path / "node.toml").write_text(
        f'[node]\ndata_dir = "."\n[database]\nurl = "sqlite:///{tmp_path}/audit.sqlite"\n'
    )

    def told(*options: str) -> list[str]:
        done = CliRunner().invoke(app, ["doctor", "--config", str(tmp_path / "node.toml"), *options])
        return [line for line in done.stdout.splitlines() if line.split()[:1] == ["files"]]

    assert "not read" in told()[0]
    assert "all 2 files are as they were written" in told("--files")[0]
    received, made = path_of(site, Instance), path_of(site, ResultRow)
    flip(received)
    flip(made)
    first, second = told("--files")
    assert f"received objects that are not as they were written: {site.spool.relative(received)}" in first
    assert f"results that are not as they were written: {site.spool.relative(made)}" in second
    assert "fail" in first
    made.unlink()
    assert not any(site.spool.relative(made) in line for line in told("--files"))  # `spool` tells of it
    made.mkdir()
    assert any(f"cannot be read: {site.spool.relative(made)}" in line for line in told("--files"))
