"""A node that is only read over HTTP makes results too, and owes nobody anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from analysed import Networks, Site, image
from sqlalchemy import func, select

from xrv_node import settings as configuration
from xrv_node.db import progress, queries, queue
from xrv_node.db.store import Store
from xrv_node.db.tables import Delivery, ResultRow, Study
from xrv_node.jobs import report
from xrv_node.reasons import as_is
from xrv_node.spool import Spool


def reported(store: Store, spool: Spool, folder: Path, text: str) -> list[tuple[str, str]]:
    """Kind and variant of what a node with this configuration made of one study."""
    (folder / "node.toml").write_text(f"[node]\ndata_dir = '{folder}'\n{text}")
    site = Site(store, spool)
    site.analyse(image(1))
    with store.begin() as db:
        progress.close_study(db, db.scalars(select(Study)).one(), as_is("test"))
    settings = configuration.load(folder / "node.toml")
    report.run(settings, store, spool, Networks().model_set, queue.claim(store, "report", owner="t"))
    with store.read() as db:
        rows = db.execute(select(ResultRow.kind, ResultRow.variant).order_by(ResultRow.kind))
        return [(kind, variant) for kind, variant in rows]


@pytest.mark.parametrize(
    ("web", "kinds"),
    [
        ("enabled = false", []),
        ("enabled = true", ["report", "sr"]),  # of an image without masks
        ('enabled = true\nsend = ["pdf"]', ["pdf"]),
        ("enabled = true\nsend = []", []),
    ],
)
def test_what_can_be_fetched_is_made(
    store: Store, spool: Spool, tmp_path: Path, web: str, kinds: list[str]
) -> None:
    assert [kind for kind, _ in reported(store, spool, tmp_path, f"[web]\n{web}\n")] == kinds
    with store.read() as db:
        assert db.scalar(select(func.count()).select_from(Delivery)) == 0
        assert queries.study(db, "1.2.3.1")["state"] == "reported"


def test_it_speaks_as_the_first_destination_unless_told(store: Store, spool: Spool, tmp_path: Path) -> None:
    german = '[[destinations]]\nname = "a"\nkind = "folder"\npath = "a"\nsend = ["report"]\nlanguage = "de"\n'
    made = reported(store, spool, tmp_path, f'[web]\nenabled = true\nsend = ["report"]\n{german}')
    assert made == [("report", "language=de")]
    other = configuration.load(tmp_path / "node.toml").web.model_copy(update={"language": "fr"})
    assert other.taker("de").style.language == "fr"
