"""WADO-RS on what the node makes: reports, segmentations, pictures; and on files that are gone or damaged."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from analysed import Networks, Site, image
from made import SECRET
from pydicom import Dataset, dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, JPEG2000Lossless
from sqlalchemy import select
from wado_site import WebSite, path, running, scene, small

from xrv_node.db import progress, queue
from xrv_node.db.tables import Study
from xrv_node.errors import ImageError
from xrv_node.jobs import report
from xrv_node.radiograph.display import display
from xrv_node.radiograph.read import read
from xrv_node.reasons import as_is
from xrv_node.result_kinds import KINDS
from xrv_node.retention import purge
from xrv_node.settings.web import WebSection
from xrv_node.values import Analysis, AnalysisInput
from xrv_node.web.dicomweb import frames as located

MADE = sorted(set(KINDS) - {"gsps"})
MARKUP = "<script>alert(1)</script>"


class Seeing(Networks):
    """Networks that see a heart, and a picture to draw on."""

    def analyse(self, batch: Sequence[AnalysisInput]) -> list[Analysis | ImageError]:
        masks = np.zeros((1, 8, 8), bool)
        masks[0, 3:6, 2:5] = True
        maps = np.linspace(0, 1, 2 * 49, dtype=np.float32).reshape(2, 7, 7)
        picture = np.full((300, 260), 90, np.uint8)
        return [
            replace(a, masks=masks, maps=maps, picture=picture)
            for a in super().analyse(batch)
            if isinstance(a, Analysis)
        ]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[WebSite]:
    with running(tmp_path_factory.mktemp("wado"), empty_database) as made:
        node = Site(made.store, made.spool)
        for study, kinds in ((1, MADE), (2, ["report"])):
            node.analyse(image(study), networks=Seeing())
            close(made, study, kinds)
        yield made


def close(site: WebSite, study: int, kinds: Sequence[str]) -> None:
    """Make results."""
    web = WebSection(enabled=True, send=list(kinds))
    with site.store.begin() as db:
        row = db.scalars(select(Study).where(Study.study_instance_uid == f"1.2.3.{study}")).one()
        progress.close_study(db, row, as_is("test"))
    claims = queue.claim(site.store, "report", owner="t")
    report.run(
        site.settings.model_copy(update={"web": web}), site.store, site.spool, Networks().model_set, claims
    )


@pytest.fixture(scope="module")
def results(site: WebSite) -> dict[str, Dataset]:
    """One of each kind, by modality; what is no report by its number of series."""
    answer = site.ask("/studies/1.2.3.1")
    found = [dcmread(BytesIO(data)) for _, data in answer.parts]
    kinds = {row.series_number: kind for kind, row in KINDS.items()}
    return {kinds.get(d.SeriesNumber, "image"): d for d in found}


def test_a_study_is_sent_with_its_results(site: WebSite, results: dict[str, Dataset]) -> None:
    assert set(results) == {"image", *MADE}
    assert {d.file_meta.TransferSyntaxUID for d in results.values()} == {ExplicitVRLittleEndian}
    headers = json.loads(site.ask("/studies/1.2.3.1/metadata").body)
    assert [h["00080018"]["Value"][0] for h in headers] == [d.SOPInstanceUID for d in results.values()]


def test_what_is_kept_deflated_is_sent_so_where_that_is_taken(
    site: WebSite, results: dict[str, Dataset]
) -> None:
    for kind in MADE:
        accept = "multipart/related; type=application/dicom; transfer-syntax=*"
        ((media_type, data),) = site.ask(path(results[kind]), Accept=accept).parts
        assert dcmread(BytesIO(data)).file_meta.TransferSyntaxUID == media_type.rpartition("=")[2]
        assert (media_type.rpartition("=")[2] == DeflatedExplicitVRLittleEndian) == KINDS[kind].deflates
        assert dcmread(BytesIO(data)).to_json() == results[kind].to_json()


def test_frames_of_results(site: WebSite, results: dict[str, Dataset]) -> None:
    for kind in ("seg", "sc", "pm"):
        made = results[kind]
        assert int(made.get("NumberOfFrames", 1)) == 1
        whole = made.PixelData if "PixelData" in made else made.FloatPixelData
        ((_, frame),) = site.ask(f"{path(made)}/frames/1").parts
        assert frame == whole[: len(frame)]
        assert len(whole) - len(frame) <= 1
        header = json.loads(site.ask(f"{path(made)}/metadata").body)[0]
        uri = header["7FE00010" if kind != "pm" else "7FE00008"]["BulkDataURI"]
        assert site.ask(uri.removeprefix(site.address)).body == whole


def test_reports_are_read_as_pages(site: WebSite, results: dict[str, Dataset]) -> None:
    for kind in ("report", "sr", "sr-image", "ko"):
        answer = site.ask(
            f"{path(results[kind])}/rendered", Accept="text/html,application/xhtml+xml,*/*;q=0.8"
        )
        assert (answer.status, answer.type) == (200, "text/html; charset=utf-8")
        assert b"<script" not in answer.body
        assert SECRET.encode() not in answer.body
    page = site.ask(f"{path(results['report'])}/rendered").body.decode()
    assert "Mass" in page
    assert "75" in page
    assert site.ask(f"{path(results['report'])}/rendered", Accept="image/jpeg").status == 406
    assert site.ask(f"{path(results['pdf'])}/rendered").body.startswith(b"%PDF-")


def test_a_segmentation_is_drawn_over_its_image(site: WebSite, results: dict[str, Dataset]) -> None:
    below = picture(site, f"{path(results['image'])}/rendered")
    drawn = picture(site, f"{path(results['seg'])}/rendered")
    assert drawn.shape == (300, 260, 3)
    mask = results["seg"].pixel_array > 0
    assert mask.any()
    assert np.array_equal(drawn[~mask], np.repeat(below[..., None], 3, axis=2)[~mask])
    assert not np.array_equal(drawn[mask], np.repeat(below[..., None], 3, axis=2)[mask])


def test_colours_are_those_that_are_stored(site: WebSite, results: dict[str, Dataset]) -> None:
    shown = picture(site, f"{path(results['sc'])}/rendered")
    assert np.array_equal(shown[..., ::-1], results["sc"].pixel_array)


def test_the_first_image_stands_for_a_study(site: WebSite, results: dict[str, Dataset]) -> None:
    assert np.array_equal(
        picture(site, "/studies/1.2.3.1/rendered"), picture(site, f"{path(results['image'])}/rendered")
    )
    series = f"/studies/1.2.3.1/series/{results['report'].SeriesInstanceUID}"
    assert site.ask(f"{series}/rendered").type == "text/html; charset=utf-8"
    assert site.ask(f"{series}/thumbnail").status == 404


def picture(site: WebSite, address: str) -> np.ndarray:
    answer = site.ask(address, Accept="image/png")
    assert answer.status == 200, answer.body
    return cv2.imdecode(np.frombuffer(answer.body, np.uint8), cv2.IMREAD_UNCHANGED)


SHOWN = {
    "inverted": {"PhotometricInterpretation": "MONOCHROME1"},
    "window": {"WindowCenter": 1500, "WindowWidth": 900},
    "sigmoid": {"WindowCenter": 1500, "WindowWidth": 900, "VOILUTFunction": "SIGMOID"},
    "rescaled": {"RescaleSlope": 2, "RescaleIntercept": -100, "WindowCenter": 1500, "WindowWidth": 900},
    "padding": {"PixelPaddingValue": 4095},
    "signed": {"PixelRepresentation": 1},
}


@pytest.mark.parametrize("name", SHOWN)
def test_the_grey_is_that_of_the_reader(site: WebSite, name: str) -> None:
    dataset = site.keep(small(1, 10 + list(SHOWN).index(name), scene() // 2 * 2, **SHOWN[name]))
    file = next((site.spool.root / "spool" / "inputs" / dataset.StudyInstanceUID).iterdir())
    assert np.array_equal(picture(site, f"{path(dataset)}/rendered"), display(read(file)))


def test_markup_in_a_report_is_shown_and_does_not_count(site: WebSite) -> None:
    made = image(30)
    made.SOPClassUID, made.ValueType = "1.2.840.10008.5.1.4.1.1.88.22", "CONTAINER"
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(made, keyword)
    made.ConceptNameCodeSequence = [coded(MARKUP)]
    item = Dataset()
    item.ValueType, item.TextValue, item.ConceptNameCodeSequence = "TEXT", MARKUP, [coded(MARKUP)]
    deep = Dataset()
    deep.ValueType, deep.ContentSequence = "CONTAINER", [item]
    made.ContentSequence = [item, deep]
    site.keep(made)
    page = site.ask(f"{path(made)}/rendered").body
    assert b"<script" not in page
    assert page.count(b"&lt;script&gt;") == 5


def coded(meaning: str) -> Dataset:
    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator, made.CodeMeaning = "1", "99X", meaning
    return made


def test_what_is_damaged_is_said(site: WebSite) -> None:
    coded_one = site.keep(small(1, 40, scene()), JPEG2000Lossless)
    short = site.keep(small(1, 41, scene()))
    for dataset in (coded_one, short):
        file = next((site.spool.root / "spool" / "inputs" / dataset.StudyInstanceUID).iterdir())
        data = file.read_bytes()
        file.write_bytes(data[: len(data) - 300])
    assert site.ask(path(coded_one)).status == 406
    assert site.ask(f"{path(coded_one)}/rendered").status == 406
    assert site.ask(f"{path(coded_one)}/frames/1").status == 404
    assert site.ask(path(short)).status == 404
    assert site.ask(f"{path(short)}/rendered").status == 406


def test_where_a_file_ends_too_early_the_answer_has_no_end(site: WebSite) -> None:
    for number in (1, 2):
        dataset = site.keep(small(number, 42, np.zeros((1200, 500), np.uint16)))
        file = next((site.spool.root / "spool" / "inputs" / "1.2.3.42").glob(f"{dataset.SOPInstanceUID}-*"))
    file.write_bytes(file.read_bytes()[:-300])
    with pytest.raises(http.client.IncompleteRead):
        site.ask("/studies/1.2.3.42")


def test_a_file_that_goes_while_it_is_asked_for_is_gone(
    site: WebSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = site.keep(small(1, 43, scene()), JPEG2000Lossless)
    document = site.keep(small(1, 44, scene(), SOPClassUID="1.2.840.10008.5.1.4.1.1.88.22"))
    site.ask(path(dataset))
    site.ask(path(document))
    looked = Path.exists
    for study in ("1.2.3.43", "1.2.3.44"):
        for file in (site.spool.root / "spool" / "inputs" / study).iterdir():
            file.unlink()
    located.locate.cache_clear()
    for address in ("", "/frames/1", "/rendered", "/thumbnail", "/bulkdata/7FE00010", "/bulkdata/00080018"):
        # it was there when it was looked up, and is not any more when it is opened
        seen: list[Path] = []
        monkeypatch.setattr(
            Path, "exists", lambda file, seen=seen: looked(file) or bool(seen.append(file) or len(seen) == 1)
        )
        assert site.ask(f"{path(dataset)}{address}").status == 410, address
    seen = []
    monkeypatch.setattr(
        Path, "exists", lambda file: looked(file) or bool(seen.append(file) or len(seen) == 1)
    )
    assert site.ask(f"{path(document)}/rendered").status == 410


def test_what_retention_removed_is_gone(site: WebSite, results: dict[str, Dataset]) -> None:
    with site.store.read() as db:
        study = db.scalars(select(Study.id).where(Study.study_instance_uid == "1.2.3.2")).one()
    answer = site.ask("/studies/1.2.3.2")
    made = [dcmread(BytesIO(data)) for _, data in answer.parts]
    assert purge.purge(site.store, site.spool, study, "inputs", committing=(), by="test").held is None
    (gone,) = [d for d in made if d.SeriesNumber < 9000]
    for address in (path(gone), f"{path(gone)}/metadata", f"{path(gone)}/frames/1", f"{path(gone)}/rendered"):
        assert site.ask(address).status == 410, address
    assert len(site.ask("/studies/1.2.3.2").parts) == len(made) - 1
    assert purge.purge(site.store, site.spool, study, "results", committing=(), by="test").held is None
    for address in ("/studies/1.2.3.2", "/studies/1.2.3.2/metadata", "/studies/1.2.3.2/rendered"):
        assert site.ask(address).status == 410
