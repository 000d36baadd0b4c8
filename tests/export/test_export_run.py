"""``xrv-node export``: what is in the folder, what is left out, and what the trail has of it."""

from __future__ import annotations

import csv
import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from analysed import Networks, Site, image
from in_process import told
from made import SECRET, incoming, radiograph
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from sqlalchemy import select

from xrv_node.audit import atna
from xrv_node.db import progress, queries, queue
from xrv_node.db.store import Store
from xrv_node.db.tables import Instance, Study
from xrv_node.export import left_out
from xrv_node.export.confidentiality import profile
from xrv_node.export.folder import Folder
from xrv_node.jobs import report
from xrv_node.reasons import as_is
from xrv_node.receive import intake
from xrv_node.result_kinds import KINDS
from xrv_node.settings import Settings
from xrv_node.spool import Spool

SENT = ["report", "sr-image", "seg", "sc", "pdf", "ko"]
CLEAN = {"BurnedInAnnotation": "NO"}


@pytest.fixture
def site(store: Store, spool: Spool, tmp_path: Path) -> Site:
    """A node with a patient's two studies, and a study of another."""
    (tmp_path / "node.toml").write_text(
        f'[node]\ndata_dir = "."\n[database]\nurl = "{store.engine.url}"\n', encoding="utf-8"
    )
    made = Site(store, spool)
    for study, patient in ((1, "A"), (2, "A"), (3, "B")):
        made.analyse(
            image(study, number=1, PatientID=patient, **CLEAN),
            image(study, number=2, PatientID=patient, ViewPosition="LL", **CLEAN),
            networks=Networks({"Effusion": 0.9 if study == 3 else 0.25, "Mass": 0.75}),
        )
        _report(made, study)
    return made


def _report(site: Site, study: int) -> None:
    out = {"name": "out", "kind": "folder", "path": "/nowhere", "send": SENT}
    with site.store.begin() as db:
        row = db.scalars(select(Study).where(Study.study_instance_uid == f"1.2.3.{study}")).one()
        progress.close_study(db, row, as_is("test"))
    claims = queue.claim(site.store, "report", owner="t")
    report.run(Settings(destinations=[out]), site.store, site.spool, Networks().model_set, claims)


def run(site: Site, out: Path, *words: str, codes: tuple[int, ...] = (0,)) -> str:
    return told("export", out, *words, "--config", site.spool.root / "node.toml", codes=codes)


def document(site: Site, out: Path, *words: str, codes: tuple[int, ...] = (0,)) -> dict[str, Any]:
    return json.loads(run(site, out, *words, "--json", codes=codes))


@pytest.fixture
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("research") / "out"


def objects(folder: Path, below: str) -> list[Dataset]:
    return [dcmread(path) for path in sorted((folder / below).rglob("*.dcm"))]


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "images.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_images_results_and_a_table_come_out_and_nobody_is_in_them(site: Site, out: Path) -> None:
    done = document(site, out, "--deidentify", "--modified-dates", "--patient-characteristics")
    assert (done["studies"], done["images"]) == (3, 6)
    assert done["results"] == len(objects(out, "results"))
    assert set(done["methods"]) == {"113100", "113107", "113108"}
    drawn = next(row for row in done["left_out"] if row["why"] == "draws")
    assert len(drawn["instances"]) >= 3
    for path in out.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert SECRET.encode() not in data
            assert b"1.2.3." not in data, path
            assert b"20260101" not in data
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    images = objects(out, "images")
    assert len({i.PatientID for i in images}) == 2
    assert len({i.StudyInstanceUID for i in images}) == 3
    assert all(i.PatientIdentityRemoved == "YES" for i in [*images, *objects(out, "results")])


def test_every_object_that_a_result_refers_to_is_there(site: Site, out: Path) -> None:
    run(site, out, "--deidentify")
    there = {str(o.SOPInstanceUID) for below in ("images", "results") for o in objects(out, below)}
    results = objects(out, "results")
    assert {r.Modality for r in results} >= {"SR", "KO"}
    for result in results:
        assert left_out.references(result)
        assert left_out.references(result) <= there


def test_the_table_has_a_row_an_image_with_its_scores_under_the_networks_names(site: Site, out: Path) -> None:
    run(site, out, "--deidentify", "--patient-characteristics")
    found = rows(out)
    assert len(found) == 6
    frontal = [row for row in found if row["view"] == "PA"]
    assert len(frontal) == 3
    for row in frontal:
        header = dcmread(out / row["file"], stop_before_pixels=True)
        for keyword in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "PatientSex"):
            assert row[keyword] == str(header[keyword].value)
        assert (row["Mass"], row["model_set"], row["phantom"]) == (
            "0.750000",
            Networks().model_set.digest,
            "no",
        )
        assert (row["PatientAge"], row["StudyDate"], row["classifier"]) == (
            "066Y",
            "",
            "densenet121-res224-all",
        )
        assert row["present"].split(";")[-1] == "Mass"
        assert all((out / file).is_file() for file in row["results"].split(";"))
    assert all(row["Mass"] == row["model_set"] == "" for row in found if row["view"] == "LL")


def test_pandas_reads_it(site: Site, out: Path) -> None:
    pandas = pytest.importorskip("pandas")
    run(site, out, "--deidentify")
    table = pandas.read_csv(out / "images.csv")
    assert table["Effusion"].max() == 0.9
    assert table.groupby("PatientID").size().tolist() in ([2, 4], [4, 2])


CHOSEN = {
    "--finding Effusion": 1,
    "--finding Effusion --finding Mass": 3,
    "--view PA": 3,
    "--verdict lateral": 3,
    "--view PA --patient A": 2,
    "--accession ACC1": 6,
    "--sender PACS --view LL": 3,
    "--since 2020-01-01": 6,
    "--until 2020-01-01": 0,
    "--sender NOBODY": 0,
    "--patient C": 0,
}


def test_only_what_is_chosen_comes(site: Site, out: Path) -> None:
    found = {
        words: document(site, out / str(n), "--identified", *words.split(), codes=(0, 1))["images"]
        for n, words in enumerate(CHOSEN)
    }
    assert found == CHOSEN
    said = run(site, out / "none", "--deidentify", "--patient", "C", codes=(1,))
    assert "no image that came here is so" in said


def test_studies_come_from_a_list(site: Site, out: Path, tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_text("# of the ethics vote\n1.2.3.1\n\n1.2.3.3\n")
    assert document(site, out, "--deidentify", "--studies", str(file))["studies"] == 2
    file.write_text("ACC1\n")
    assert document(site, out.with_name("all"), "--deidentify", "--studies", str(file))["studies"] == 3
    file.write_text(f"1.2.3.1\n{SECRET}\n")
    said = run(site, out.with_name("no"), "--deidentify", "--studies", str(file), codes=(2,))
    assert said.startswith("error: --studies: line 2 is neither")
    assert SECRET not in said


def test_a_result_that_is_also_about_another_image_stays(site: Site, out: Path) -> None:
    done = document(site, out, "--deidentify", "--view", "LL")
    assert (done["images"], done["results"]) == (3, 0)
    assert {row["why"] for row in done["left_out"]} == {"refers", "draws"}


def test_patient_data_do_not_leave_by_accident(site: Site, out: Path) -> None:
    for words in ((), ("--deidentify", "--identified")):
        assert "--deidentify takes them out, --identified leaves them in" in run(
            site, out, *words, codes=(2,)
        )
    assert "go with --deidentify" in run(site, out, "--identified", "--modified-dates", codes=(2,))
    assert not out.exists()


def test_identified_objects_are_those_of_the_spool(site: Site, out: Path) -> None:
    done = document(site, out, "--identified")
    assert (done["images"], done["deidentified"], done["left_out"]) == (6, False, [])
    spool = {p.read_bytes() for p in (site.spool.root / "spool").rglob("*.dcm")}
    assert {p.read_bytes() for p in out.rglob("*.dcm")} == spool
    assert {row["PatientID"] for row in rows(out)} == {"A", "B"}


def test_the_same_command_goes_on_and_overwrites_nothing(
    site: Site, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, kept = Folder.keep, []

    def killed(self: Folder, draft: Path, target: Path) -> None:
        if len(kept) == 3:
            raise KeyboardInterrupt
        kept.append(target)
        keep(self, draft, target)

    monkeypatch.setattr(Folder, "keep", killed)
    told("export", out, "--deidentify", "--config", site.spool.root / "node.toml", codes=(130,))
    assert not (out / "images.csv").exists()
    written = {path: path.stat().st_mtime_ns for path in out.rglob("*.dcm")}
    assert set(written) == set(kept)
    monkeypatch.undo()
    (kept[0].parent / ".left.part").write_bytes(b"of a draft")
    assert document(site, out, "--deidentify")["images"] == 6
    assert {path: path.stat().st_mtime_ns for path in written} == written
    assert not list(out.rglob(".*.part"))
    events = len(site.events("study.exported"))
    assert document(site, out, "--deidentify")["images"] == 6
    assert len(site.events("study.exported")) == events


def test_a_folder_with_anything_else_in_it_is_refused(site: Site, out: Path) -> None:
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    assert "is not empty, and nothing is overwritten" in run(site, out, "--deidentify", codes=(2,))
    (out / "mine.txt").unlink()
    run(site, out, "--deidentify")
    assert "with other options" in run(site, out, "--deidentify", "--modified-dates", codes=(2,))
    assert "with other options" in run(site, out, "--identified", codes=(2,))
    inside = site.spool.root / "out"
    assert "in the node's own data directory" in run(site, inside, "--deidentify", codes=(2,))
    assert "is no folder to export to" in run(site, out / "export.json", "--deidentify", codes=(2,))


def test_two_exports_name_everything_alike(site: Site, out: Path) -> None:
    other = out.with_name("other")
    run(site, out, "--deidentify")
    run(site, other, "--deidentify", "--patient", "A")
    assert {r["SOPInstanceUID"] for r in rows(other)} < {r["SOPInstanceUID"] for r in rows(out)}
    assert {r["PatientID"] for r in rows(other)} < {r["PatientID"] for r in rows(out)}


def test_what_retention_removed_and_what_was_changed_is_told_by_uid(site: Site, out: Path) -> None:
    node = site.spool.root / "node.toml"
    told("studies", "purge", "1.2.3.1", "--inputs", "--yes", "--force", "--config", node)
    with site.store.read() as db:
        path = db.scalars(select(Instance.path).where(Instance.sop_instance_uid == "1.2.3.2.1.1")).one()
    file = site.spool.absolute(path)
    file.write_bytes(file.read_bytes()[:-2] + b"xx")
    done = document(site, out, "--deidentify")
    left = {row["why"]: row["instances"] for row in done["left_out"]}
    assert left["gone"] == ["1.2.3.1.1.1", "1.2.3.1.1.2"]
    assert left["changed"] == ["1.2.3.2.1.1"]
    assert done["images"] == 3
    assert "1.2.3" not in (out / "export.json").read_text()


def jpeg(comment: bytes) -> bytes:
    import imagecodecs

    coded = imagecodecs.jpeg8_encode(np.zeros((300, 260), np.uint8))
    return coded[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + coded[2:]


HOSTILE: dict[str, tuple[dict[str, Any], str]] = {
    "a name is said to be in the pixels": ({"BurnedInAnnotation": "YES"}, "burned-in"),
    "a face may be": ({"RecognizableVisualFeatures": "YES", **CLEAN}, "burned-in"),
    "nothing is said of it": ({}, "burned-in-unknown"),
    "a secondary capture": ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", **CLEAN}, "not-a-radiograph"),
    "a film that was scanned": ({"ConversionType": "DF", **CLEAN}, "not-a-radiograph"),
    "another modality": ({"Modality": "OT", **CLEAN}, "not-a-radiograph"),
    "a PDF": ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.1", "EncapsulatedDocument": SECRET.encode()}, "not-a-radiograph"),
    "another's report": ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.11", "Modality": "SR"}, "not-a-radiograph"),
}  # fmt: skip


def test_an_overlay_in_unused_bits_of_the_pixels_is_found() -> None:
    for position, why in ((12, "overlay"), (0, None)):
        dataset = radiograph(**CLEAN)
        dataset.add_new((0x6002, 0x0102), "US", position)
        assert left_out.image(dataset, keep_unknown=False) == why


@pytest.mark.parametrize("case", HOSTILE)
def test_what_may_show_a_name_is_refused(case: str, store: Store, spool: Spool, out: Path) -> None:
    attributes, why = HOSTILE[case]
    assert left_out.image(radiograph(**attributes), keep_unknown=False) == why
    unknown = left_out.image(radiograph(**attributes), keep_unknown=True)
    assert unknown == (None if why == "burned-in-unknown" else why)


def test_a_comment_in_a_jpeg_is_found() -> None:
    for comment, why in ((SECRET.encode(), "comments"), (b"", "comments")):
        dataset = radiograph(PixelData=encapsulate([jpeg(comment)]), **CLEAN)
        assert left_out.image(dataset, keep_unknown=False) == why
    import imagecodecs

    plain = imagecodecs.jpeg8_encode(np.zeros((300, 260), np.uint8))
    assert left_out.image(radiograph(PixelData=encapsulate([plain]), **CLEAN), keep_unknown=False) is None
    exif = plain[:2] + b"\xff\xe1\x00\x0aExif\0\0AB" + plain[2:]
    assert left_out.has_comments(encapsulate([exif]))


def test_a_name_in_a_comment_of_a_jpeg_2000_is_found_and_that_of_the_encoder_stays() -> None:
    import imagecodecs

    coded = imagecodecs.jpeg2k_encode(np.zeros((300, 260), np.uint16), level=0, codecformat="j2k")
    size = int.from_bytes(coded[4:6], "big")  # of SIZ, which comes first
    for comment, why in ((f"of {SECRET}".encode(), "comments"), (b"Kakadu-8.4", None)):
        segment = b"\xff\x64" + (len(comment) + 4).to_bytes(2, "big") + b"\0\1" + comment
        with_it = coded[: 4 + size] + segment + coded[4 + size :]
        dataset = radiograph(PixelData=encapsulate([with_it]), **CLEAN)
        assert left_out.image(dataset, keep_unknown=False) == why


def test_images_that_do_not_say_are_kept_after_somebody_has_looked(site: Site, out: Path) -> None:
    intake.accept(
        site.store, site.spool, Settings().frontal, incoming(radiograph(1, 9, StudyInstanceUID="1.2.3.9"))
    )
    said = run(site, out, "--deidentify")
    assert "1 left out: does not say whether a name is in its pixels" in said
    assert "  1.2.3.9.1.1" in said.splitlines()
    kept = document(site, out.with_name("kept"), "--deidentify", "--burned-in-unknown", "keep")
    assert kept["images"] == 7


def test_the_trail_has_who_and_how_many_and_no_patient(site: Site, out: Path) -> None:
    run(site, out, "--deidentify")
    first, *_ = site.events("study.exported")
    assert (first["images"], first["deidentified"], first["methods"]) == (2, True, ["113100"])
    assert "@" in first["by"]
    with site.store.read() as db:
        events = list(queries.events(db, event="study.exported"))
        written = list(atna.messages(db, Settings(), events))
    assert [e["study"] for e in events] == ["1.2.3.1", "1.2.3.2", "1.2.3.3"]
    assert len(written) == 3
    assert '<EventID csd-code="110106"' in written[0].xml
    assert "110154" in written[0].xml
    assert SECRET not in written[0].xml


def test_files_that_cannot_be_written_are_a_line(
    site: Site, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> Callable[[], None]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Folder, "draft", full)
    (said,) = run(site, out, "--deidentify", codes=(2,)).splitlines()
    assert (
        said
        == f"error: {out}: cannot be written (No space left on device); what is there is whole, and the same command goes on"
    )


def test_kinds_that_draw_a_name_are_known_kinds() -> None:
    assert profile().kinds_left_out <= KINDS.keys()
