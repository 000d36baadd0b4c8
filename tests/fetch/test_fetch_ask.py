"""What is asked for, where it is written down, and what a person may do with it."""

from __future__ import annotations

import os
import stat
from datetime import date
from pathlib import Path
from time import time

import pytest

from xrv_node.db.store import Store
from xrv_node.errors import ConfigError, QueueError, XrvNodeError
from xrv_node.fetch import ask, keys
from xrv_node.fetch.ask import Wanted
from xrv_node.fetch.keys import Key
from xrv_node.settings import Settings
from xrv_node.spool import Spool

ARCHIVE = {"name": "pacs", "kind": "dimse", "ae_title": "PACS", "host": "localhost", "port": 104}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(node={"data_dir": tmp_path}, archives=[ARCHIVE])


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"study": "1.2", "accession": "A"},
        {"study": "../x"},
        {"accession": "A*"},
        {"patient": "P\\Q"},
        {"patient": "P" * 65},
        {"accession": "A\n"},
        {"patient": "P", "date": "19991"},
        {"patient": "P", "date": "20251301"},
        {"patient": "P", "date": "-"},
    ],
)
def test_what_cannot_be_asked_for_is_not_repeated(said: dict[str, str]) -> None:
    with pytest.raises(XrvNodeError) as error:
        Key(**said)
    assert not any(value in str(error.value) for value in said.values() if len(value) > 3)


def test_days_are_a_range() -> None:
    assert keys.days(date(2025, 1, 2), date(2025, 3, 4)) == "20250102-20250304"
    assert (keys.days(None, date(2025, 3, 4)), keys.days(None, None)) == ("-20250304", "")
    assert Key(patient="P", date="20250102-").matches == {"PatientID": "P", "StudyDate": "20250102-"}


def test_a_list_is_one_a_line_or_a_table(tmp_path: Path) -> None:
    plain, table = tmp_path / "plain.txt", tmp_path / "table.csv"
    plain.write_text("1.2.3\n\n 4711 \n1.2.3\n")
    assert keys.listed(plain) == (Key(study="1.2.3"), Key(accession="4711"))
    table.write_text('\ufeffPatientID;other;StudyDate\n"P;1";x;20250101-\nP2;;\n', encoding="utf-8")
    assert keys.listed(table) == (Key(patient="P;1", date="20250101-"), Key(patient="P2"))
    table.write_text("PatientID,StudyDate\nDoe1234,20250101\nDoe1234,yesterday\n")
    with pytest.raises(XrvNodeError, match=r"table.csv, line 3: a Study Date is") as error:
        keys.listed(table)
    assert "Doe" not in str(error.value)
    with pytest.raises(XrvNodeError, match="cannot be read"):
        keys.listed(tmp_path / "absent")


def test_patient_data_are_in_a_private_file_alone(settings: Settings, store: Store, tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    wanted = (Key(patient="Zebrafinch", date="20250101"), Key(accession="Bullfinch"), Key(study="1.2.3"))
    identifier = ask.request(settings, store, spool, Wanted(wanted, "pacs"))
    place = keys.place(spool, identifier)
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert keys.read(spool, identifier) == wanted
    with store.read() as db:
        shown = ask.show(db, identifier)
    (event,) = shown["events"]
    assert event["detail"]["asked"] == {"study": 1, "accession": 1, "patient": 1, "date": 1}
    for path in tmp_path.rglob("*.sqlite*"):
        assert b"finch" not in path.read_bytes()
    ask.cancel(store, spool, identifier)
    assert not place.exists()
    with pytest.raises(QueueError, match="is cancelled"):
        ask.retry(store, identifier)


def test_files_that_no_fetch_is_of_are_removed(store: Store, spool: Spool) -> None:
    for name, age in (("old", keys.SETTLED_SECONDS + 60), ("known", keys.SETTLED_SECONDS + 60), ("young", 0)):
        keys.write(spool, name, [Key(patient="P")])
        os.utime(keys.place(spool, name), (time() - age,) * 2)
    keys.sweep(spool, {"known"})
    assert sorted(path.stem for path in (spool.root / "spool" / "fetches").iterdir()) == ["known", "young"]


def test_studies_that_are_named_need_no_file(settings: Settings, store: Store, tmp_path: Path) -> None:
    wanted = Wanted((Key(study="1.2.3"), Key(study="1.2.4"), Key(study="1.2.3")), "pacs")
    identifier = ask.request(settings, store, Spool(tmp_path), wanted)
    assert not keys.place(Spool(tmp_path), identifier).exists()
    with store.read() as db:
        (row,) = ask.fetches(db)
    assert (row["id"], row["state"], row["studies"]) == (identifier, "queued", {"waiting": 2})
    with store.read() as db:
        assert ask.fetches(db, state="done") == []


def test_what_cannot_be_is_told(settings: Settings, store: Store, tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    with pytest.raises(ConfigError, match="there is no archive named 'cloud'; configured: pacs"):
        ask.request(settings, store, spool, Wanted((Key(study="1.2"),), "cloud"))
    with pytest.raises(XrvNodeError, match="asks for 1 to"):
        ask.request(settings, store, spool, Wanted((), "pacs"))
    with pytest.raises(QueueError, match="no such fetch"):
        ask.cancel(store, spool, "0" * 12)
    assert not list(tmp_path.glob("spool/fetches/*"))
