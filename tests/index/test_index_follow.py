"""The index follows what the audit database says of the objects."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from analysed import Networks, Site, image
from in_process import told
from made import SECRET, incoming, radiograph
from pydicom import Dataset
from retained import age, done
from sqlalchemy import update
from structlog.testing import capture_logs

from xrv_node.db.store import Store, is_busy
from xrv_node.db.tables import AuditHead, Instance, Study
from xrv_node.doctor import index as checked
from xrv_node.doctor.diagnosis import Examined
from xrv_node.index import find, follow, rows, search
from xrv_node.index import index as index_module
from xrv_node.index.index import Index
from xrv_node.index.listing import Chosen
from xrv_node.receive import intake
from xrv_node.retention import purge
from xrv_node.settings import FrontalSection, Settings
from xrv_node.spool import Spool
from xrv_node.values import DEFAULT_STYLE


@pytest.fixture
def site(store: Store, spool: Spool) -> Site:
    """A node."""
    return Site(store, spool)


@pytest.fixture
def index(spool: Spool) -> Iterator[Index]:
    """Its index, empty."""
    made = opened(spool)
    yield made
    made.close()


def opened(spool: Spool) -> Index:
    """Another process's."""
    return Index(f"sqlite:///{spool.root / 'index.sqlite'}", spool.root, Chosen(DEFAULT_STYLE))


def small(number: int = 1, study: int = 1, **attributes: Any) -> Dataset:
    """A radiograph of four pixels."""
    return radiograph(number, study, Rows=2, Columns=2, PixelData=b"\0" * 8, **attributes)


def take(site: Site, *images: Dataset) -> None:
    """Receive images."""
    for one in images:
        intake.accept(site.store, site.spool, FrontalSection(), incoming(one))


def catch_up(index: Index, site: Site) -> bool:
    """As a query does."""
    return follow.catch_up(index, site.store, site.spool)


def uids(index: Index, study: int = 1) -> list[str]:
    """What is listed of a study."""
    return [e.sop_instance_uid for e in find.instances(index, f"1.2.3.{study}")]


def test_images_and_results_are_there_and_what_is_superseded_is_not_listed(site: Site, index: Index) -> None:
    site.analyse(image(1), image(1, number=2))
    assert catch_up(index, site)
    assert uids(index) == ["1.2.3.1.1.1", "1.2.3.1.1.2"]
    (old,) = (str(report.SOPInstanceUID) for report in site.report(1))
    catch_up(index, site)
    entries = find.instances(index, "1.2.3.1")
    assert [(e.result, e.frames) for e in entries] == [(False, 1), (False, 1), (True, 0)]
    headers = [json.loads(text) for text in find.metadata(index, "1.2.3.1")]
    assert [h["00080018"]["Value"][0] for h in headers] == [e.sop_instance_uid for e in entries]
    assert headers[0]["7FE00010"] == {"vr": "OW", "BulkDataURI": "xrv-node:bulk/7FE00010"}
    pixels = entries[0].path.read_bytes()[entries[0].pixel_offset :][: entries[0].pixel_length]
    assert pixels == image(1).PixelData

    site.analyse(image(1, number=3), networks=Networks({"Effusion": 0.9, "Mass": 0.1}))
    new = {str(report.SOPInstanceUID) for report in site.report(1)} - {old}
    catch_up(index, site)
    assert set(uids(index)) == {"1.2.3.1.1.1", "1.2.3.1.1.2", "1.2.3.1.1.3"} | new
    series = entries[2].series_instance_uid
    superseded = find.instance(index, "1.2.3.1", series, old)
    assert superseded is not None
    assert (superseded.listed, superseded.purged) == (False, False)
    assert len(list(find.metadata(index, "1.2.3.1", series, old))) == 1
    assert find.instance(index, "1.2.3.2", series, old) is None


def test_of_what_is_purged_no_patient_is_left_before_anybody_searches(site: Site, spool: Spool) -> None:
    take(site, small(1, 1, PatientName="Zyxwvut^Anna", PatientID="Zyxwvut"))
    done(site, study=2, images=1)
    settings = Settings(node={"data_dir": spool.root}, retention={"inputs_days": 30, "results_days": 30})
    index = Index.open(settings)
    catch_up(index, site)
    index.close()
    file = spool.root / "index.sqlite"
    assert file.stat().st_mode & 0o777 == 0o600
    age(site, 40)
    with site.store.begin() as db:
        db.execute(update(Study).values(state="reported", reported_at=Study.received_at))
    assert purge.expire(settings, site.store, spool)
    assert b"Zyxwvut" not in file.read_bytes()
    index = Index.open(settings)
    entry = find.instance(index, "1.2.3.1", "1.2.3.1.1", "1.2.3.1.1.1")
    assert entry is not None
    assert (entry.purged, entry.listed) == (True, False)
    assert uids(index, 1) == uids(index, 2) == []
    assert search.studies(index) == ([], 0)
    assert list(find.metadata(index, "1.2.3.1", "1.2.3.1.1", "1.2.3.1.1.1")) == []

    take(site, small(1, 1, PatientName="Zyxwvut^Anna", PatientID="Zyxwvut"))
    catch_up(index, site)
    assert uids(index, 1) == ["1.2.3.1.1.1"]
    assert search.studies(index, name="zyx")[1] == 1
    index.close()


def test_of_two_objects_under_one_uid_the_first_is_there(site: Site, index: Index) -> None:
    first, second = small(1, 1, StudyDescription="first"), small(1, 1, StudyDescription="second")
    elsewhere = small(1, 2, SOPInstanceUID="1.2.3.1.1.1")
    take(site, first, second, elsewhere)
    for _ in range(2):
        catch_up(index, site)
        (header,) = find.metadata(index, "1.2.3.1")
        assert json.loads(header)["00081030"]["Value"] == ["first"]
        assert uids(index, 2) == []
        follow.rebuild(index, site.store, site.spool)


@pytest.mark.parametrize("damage", ["missing", "cut", "nonsense"])
def test_an_object_whose_file_is_damaged_is_there_with_what_is_known(
    site: Site, index: Index, damage: str
) -> None:
    take(site, small(1), small(2))
    path = next((site.spool.root / "spool" / "inputs").rglob("1.2.3.1.1.1-*"))
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:200] if damage == "cut" else b"no DICOM" * 99)
    with capture_logs() as logs:
        catch_up(index, site)
    (warning,) = (entry for entry in logs if entry["log_level"] == "warning")
    assert warning["instance"] == "1.2.3.1.1.1"
    assert SECRET not in str(logs)
    assert uids(index) == ["1.2.3.1.1.1", "1.2.3.1.1.2"]
    header = json.loads(next(find.metadata(index, "1.2.3.1")))
    assert header["00080060"]["Value"] == ["CR"]
    assert header["00080018"]["Value"] == ["1.2.3.1.1.1"]


def remove(index: Index) -> None:
    """Take the file away under its users."""
    assert index.file
    for path in index.file.parent.glob("index.sqlite*"):
        path.unlink()


def overwrite(index: Index) -> None:
    """Write nonsense over the file, without a word to its users."""
    assert index.file
    index.close()
    for path in index.file.parent.glob("index.sqlite-*"):
        path.unlink()
    index.file.write_bytes(b"nonsense" * 4096)


def tear(index: Index) -> None:
    """Damage a page within, which its users meet later."""
    assert index.file
    with index.begin() as db:
        db.connection().exec_driver_sql("SELECT 1")
    index.close()
    data = bytearray(index.file.read_bytes())
    for page in range(2, len(data) // 4096):
        data[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    index.file.write_bytes(data)


@pytest.mark.parametrize("harm", [remove, overwrite, tear])
def test_an_index_that_is_gone_or_damaged_is_made_anew(
    site: Site, index: Index, harm: Callable[[Index], None]
) -> None:
    take(site, small(1), small(1, 2))
    catch_up(index, site)
    harm(index)
    take(site, small(2))
    assert catch_up(index, site)
    assert uids(index) == ["1.2.3.1.1.1", "1.2.3.1.1.2"]
    assert uids(index, 2) == ["1.2.3.2.1.1"]


def test_threads_of_two_processes_find_what_each_has_stored(site: Site, index: Index) -> None:
    other = opened(site.spool)
    lost: list[str] = []

    def store_and_look(number: int, at: Index) -> None:
        for study in range(number * 10, number * 10 + 4):
            take(site, small(1, study))
            catch_up(at, site)
            if uids(at, study) != [f"1.2.3.{study}.1.1"]:
                lost.append(f"1.2.3.{study}")

    threads = [threading.Thread(target=store_and_look, args=(n, (index, other)[n % 2])) for n in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lost == []
    assert search.studies(index)[1] == 24
    other.close()


def test_killed_in_the_middle_it_goes_on(site: Site, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    take(site, *(small(number, study) for study in range(1, 6) for number in (1, 2)))
    settle, calls = rows.settle, 0

    def dies(*arguments: Any) -> bool:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return settle(*arguments)

    monkeypatch.setattr(follow, "_MARKED", 1)
    monkeypatch.setattr(rows, "settle", dies)
    with pytest.raises(KeyboardInterrupt):
        catch_up(index, site)
    assert search.studies(index)[1] == 2  # the newest first
    assert uids(index, 5)
    catch_up(index, site)
    assert search.studies(index)[1] == 5
    assert calls == 6


def test_a_large_study_is_read_in_steps_and_a_query_does_not_wait_for_ever(
    site: Site, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "MOST", 2)
    catch_up(index, site)
    take(site, *(small(number) for number in range(1, 6)))
    assert not follow.catch_up(index, site.store, site.spool, seconds=-1)
    assert catch_up(index, site)
    assert len(uids(index)) == 5


def test_a_locked_index_is_said_to_be_busy(site: Site, spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "BUSY_SECONDS", 0)
    index = opened(spool)
    take(site, small())
    locking = sqlite3.connect(spool.root / "index.sqlite", isolation_level=None)
    locking.execute("BEGIN IMMEDIATE")
    with pytest.raises(Exception) as raised:  # noqa: PT011  # of the driver
        catch_up(index, site)
    assert is_busy(raised.value)
    locking.close()
    assert catch_up(index, site)
    index.close()


def test_another_style_and_another_history_are_followed(site: Site, index: Index, spool: Spool) -> None:
    take(site, small(1, 1))
    shutil.copyfile(spool.root / "audit.sqlite", spool.root / "backup.sqlite")
    shutil.copyfile(spool.root / "audit.sqlite-wal", spool.root / "backup.sqlite-wal")
    take(site, small(1, 2))
    catch_up(index, site)
    index.chosen = Chosen(replace(DEFAULT_STYLE, language="de"))
    assert catch_up(index, site)
    assert search.studies(index)[1] == 2

    restored = Site(Store(f"sqlite:///{spool.root / 'backup.sqlite'}"), spool)
    assert catch_up(index, restored)
    assert [line.study_instance_uid for line in search.studies(index)[0]] == ["1.2.3.1"]
    restored.store.close()


def test_a_trail_that_was_cut_behind_the_index_is_no_hole(site: Site, index: Index) -> None:
    catch_up(index, site)
    take(site, small(1, 1))
    with site.store.begin() as db:  # as retention does to what is old
        db.execute(update(AuditHead).values(removed=AuditHead.count))
    assert catch_up(index, site)
    assert uids(index) == ["1.2.3.1.1.1"]


def test_doctor_compares_and_a_rebuild_settles_it(site: Site, index: Index, spool: Spool) -> None:
    take(site, small(1), small(2))
    catch_up(index, site)
    node = Examined(Settings(node={"data_dir": spool.root}), site.store, fix=False)
    ((state, says, _),) = checked.index(node)
    assert (state, says) == ("ok", "the index has all 2 objects of the record")
    with site.store.begin() as db:  # behind the trail's back
        db.execute(update(Instance).where(Instance.id == 2).values(sop_instance_uid="9.9"))
    ((state, says, remedy),) = checked.index(node)
    assert (state, says) == ("fail", "the index lacks 1 objects of the record and has 1 that are not in it")
    assert "index rebuild" in remedy
    seen: list[tuple[int, int]] = []
    follow.rebuild(index, site.store, spool, lambda *done: seen.append(done))
    assert seen == [(1, 1)]
    assert next(checked.index(node))[0] == "ok"
    index.close()
    (spool.root / "index.sqlite").write_bytes(b"nonsense" * 999)
    assert next(checked.index(node))[0] == "warn"


def test_the_command_makes_it_anew(site: Site, spool: Spool) -> None:
    take(site, small(1), small(1, 2))
    config = spool.root / "node.toml"
    config.write_text(
        f'[node]\ndata_dir = "."\n[database]\nurl = "sqlite:///{spool.root / "audit.sqlite"}"\n'
    )
    assert json.loads(told("index", "rebuild", "--config", config, "--json"))["objects"] == 2
    assert told("index", "rebuild", "--config", config) == "2 objects are in the index\n"
    index = opened(spool)
    assert uids(index, 2) == ["1.2.3.2.1.1"]
    index.close()


def test_a_page_of_studies(site: Site, index: Index) -> None:
    take(site, *(small(1, n, PatientName=f"Name{n}^A", StudyDate=f"2026010{n}") for n in range(1, 5)))
    catch_up(index, site)
    lines, total = search.studies(index, limit=2, offset=1)
    assert ([line.patient_name for line in lines], total) == (["Name3^A", "Name2^A"], 4)
    assert lines[0].modalities == ("CR",)
    lines, total = search.studies(index, dates="20260102-20260103", name="me3")
    assert (lines[0].study_date, total) == ("20260103", 1)
    assert search.studies(index, accession="acc1", patient_id=f"{SECRET}-4711")[1] == 4
