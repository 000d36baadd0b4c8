"""Where is accession 123? Studies are found by what their images say, and none of it is shown."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from made import SECRET, incoming, radiograph
from sqlalchemy import select, update
from typer.testing import CliRunner

from xrv_node.cli import app
from xrv_node.db.store import Store
from xrv_node.db.tables import Instance, Study
from xrv_node.receive import intake
from xrv_node.settings import FrontalSection
from xrv_node.spool import Spool

LATERAL = {"ViewPosition": "LL", "PatientOrientation": ["A", "F"]}


@pytest.fixture
def site(tmp_path: Path, store: Store, spool: Spool) -> Path:
    """A node with four studies of three patients from two senders; the third came two days ago."""
    config = tmp_path / "node.toml"
    config.write_text(
        f'[node]\ndata_dir = "{tmp_path}"\n[database]\nurl = "sqlite:///{tmp_path}/audit.sqlite"\n'
    )
    for study, calling_ae, said in (
        (1, "XRAY1", {"AccessionNumber": "123"}),
        (2, "XRAY1", {"AccessionNumber": "1234", "PatientID": "9", **LATERAL}),
        (3, "XRAY2", {"AccessionNumber": "123", "PatientID": "9"}),
        (4, "XRAY2", {"AccessionNumber": None, "PatientID": "123", "StationName": "R7"}),
    ):
        image = incoming(radiograph(1, study, **said), calling_ae=calling_ae)
        intake.accept(store, spool, FrontalSection(), image)
    with store.begin() as db:
        before = datetime.now(UTC) - timedelta(days=2)
        db.execute(
            update(Study)
            .where(Study.study_instance_uid == "1.2.3.3")
            .values(received_at=before, state="reported")
        )
    return config


def listed(site: Path, *options: str) -> list[str]:
    """The numbers of the studies that are listed."""
    done = CliRunner().invoke(app, ["studies", "list", "--config", str(site), "--json", *options])
    assert done.exit_code == 0, done.output
    rows: list[dict[str, Any]] = json.loads(done.output)["items"]
    return sorted(row["study"].rpartition(".")[2] for row in rows)


def day(ago: int) -> str:
    return (datetime.now().astimezone() - timedelta(days=ago)).strftime("%Y-%m-%d")


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ([], "1234"),
        (["--accession", "123"], "13"),
        (["--accession", "1234"], "2"),
        (["--accession", "12"], ""),
        (["--patient", "9"], "23"),
        (["--patient", "123"], "4"),
        (["--patient", f"{SECRET}-4711", "--accession", "123"], "1"),
        (["--sender", "XRAY2"], "34"),
        (["--station", "R7"], "4"),
        (["--verdict", "lateral"], "2"),
        (["--state", "reported"], "3"),
        (["--since", day(1)], "124"),
        (["--until", day(1)], "3"),
        (["--since", day(2), "--until", day(0), "--sender", "XRAY1"], "12"),
    ],
)
def test_studies_are_found(site: Path, options: list[str], numbers: str) -> None:
    assert listed(site, *options) == list(numbers)


def test_neither_the_database_nor_the_list_tells_who_it_is(site: Path, tmp_path: Path) -> None:
    told = CliRunner().invoke(
        app, ["studies", "list", "--config", str(site), "--patient", f"{SECRET}-4711"], terminal_width=300
    )
    assert "1.2.3.1" in told.output
    assert "lateral:1" in CliRunner().invoke(app, ["studies", "list", "--config", str(site)]).output
    kept = b"".join(file.read_bytes() for file in tmp_path.glob("audit.sqlite*"))
    for secret in (SECRET, "ACC1"):
        assert secret not in told.output
        assert secret.encode() not in kept


def test_an_accession_and_a_patient_of_the_same_number_have_other_digests(site: Path, store: Store) -> None:
    with store.read() as db:
        rows = db.execute(select(Instance.accession, Instance.patient_id).order_by(Instance.id)).all()
    assert rows[0][0] == rows[2][0]
    assert rows[3][0] == ""
    assert rows[3][1] not in {accession for accession, _ in rows}


def test_what_came_before_there_were_digests_is_read_from_its_files(
    site: Path, store: Store, spool: Spool
) -> None:
    with store.begin() as db:
        db.execute(update(Instance).values(accession=None, patient_id=None))
        gone = db.scalars(select(Instance.path).where(Instance.sop_instance_uid == "1.2.3.3.1.1")).one()
    spool.absolute(gone).unlink()
    assert listed(site, "--accession", "123") == ["1"]
    assert listed(site, "--patient", "123") == ["4"]
