"""Files that are missing, damaged or hostile: one sentence, and nothing outside the folder."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xrv_node.errors import DatasetError
from xrv_node.lab.datasets.catalog import entries, find
from xrv_node.lab.datasets.images import unpacked
from xrv_node.lab.datasets.load import load

NIH = "Image Index,Finding Labels,Patient ID,Patient Age,Patient Sex,View Position\n"
FILE = "Data_Entry_2017_v2020.csv"


@pytest.mark.parametrize("name", [entry.name for entry in entries()])
def test_an_empty_folder_says_what_is_missing_and_where_it_is_obtained(tmp_path: Path, name: str) -> None:
    entry = find(name)
    for part in entry.parts:
        with pytest.raises(DatasetError) as caught:
            load(name, tmp_path, part=part)
        assert entry.home in str(caught.value)
        assert str(tmp_path) in str(caught.value)


def test_what_is_asked_for_by_a_wrong_name(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="known are nih, nih-google"):
        load("mnist", tmp_path)
    with pytest.raises(DatasetError, match="has no part 'dev'; it has train, valid, test"):
        load("chexpert", tmp_path, part="dev")
    with pytest.raises(DatasetError, match="is not a folder; it should hold Data_Entry"):
        load("nih", tmp_path / "nowhere")
    assert find("CheX_Dataset") is find("chexpert")


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00\x01" * 50, b'a,b\n"1,2\n3,4', b"Image Index,View Position\nx,PA\n"]
)
def test_a_file_that_is_no_table_or_another(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(DatasetError, match=r"cannot be read as a table|has no column"):
        load("nih", tmp_path)


def test_a_packed_file_that_is_cut_short(tmp_path: Path) -> None:
    whole = gzip.compress((NIH + "00000001_000.png,Mass,1,57,M,PA\n" * 500).encode(), mtime=0)
    (tmp_path / f"{FILE}.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatasetError, match="cannot be read as a table"):
        load("nih", tmp_path)


@pytest.mark.parametrize(
    "image", ["../../etc/passwd", "/etc/passwd", "a/../../b.png", "C:\\a.png", "a\0.png"]
)
def test_an_image_outside_the_folder_is_refused(tmp_path: Path, image: str) -> None:
    (tmp_path / FILE).write_text(NIH + f"{image},Mass,1,57,M,PA\n")
    with pytest.raises(DatasetError, match="names an image outside"):
        load("nih", tmp_path)


def test_no_image_of_the_view(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(NIH + "a.png,Mass,1,57,M,AP\n")
    with pytest.raises(DatasetError, match="no image of view PA; there is AP"):
        load("nih", tmp_path)


def test_the_label_file_one_folder_deeper_and_images_anywhere_below(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / FILE).write_text(NIH + "a.png,Mass,1,57,M,PA\nb.png,No Finding,2,58,F,PA\n")
    for part, name in (("images_001", "a.png"), ("images_012", "b.png")):
        (tmp_path / part / "images").mkdir(parents=True)
        (tmp_path / part / "images" / name).touch()
    table = load("nih", tmp_path)
    assert [item.image.is_file() for item in table] == [True, True]


def openi(folder: Path, report: bytes) -> Path:
    with tarfile.open(folder / "NLMCXR_reports.tgz", "w:gz") as archive:
        member = tarfile.TarInfo("ecgen-radiology/1.xml")
        member.size = len(report)
        archive.addfile(member, io.BytesIO(report))
    return folder


def test_a_report_with_entities_is_refused(tmp_path: Path) -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;">]><eCitation><uId id="1"/>&c;</eCitation>'
    with pytest.raises(DatasetError, match="cannot be read as an archive of reports"):
        load("openi", openi(tmp_path, bomb), views=["*"])


def test_a_report_that_is_far_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot be read as an archive of reports"):
        load("openi", openi(tmp_path, b"<a>" + b" " * (2 << 20) + b"</a>"), views=["*"])


@pytest.mark.parametrize(
    "name", ["../outside.png", "/tmp/outside.png", "a/../../outside.png", "\\..\\outside.png"]
)
def test_a_member_with_a_path_is_written_nowhere_else(tmp_path: Path, name: str) -> None:
    """Members are read by their names and never unpacked under them."""
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / FILE).write_text(NIH + "a.png,Mass,1,57,M,PA\n")
    with zipfile.ZipFile(inside / "images.zip", "w") as archive:
        archive.writestr(name, b"outside")
        archive.writestr("a.png", b"inside")
    before = set(tmp_path.rglob("*"))
    try:
        table = load("nih", inside)
    except DatasetError:
        pass
    else:
        for item in table:
            with unpacked(item.image) as path:
                assert path.read_bytes() == b"inside"
    assert set(tmp_path.rglob("*")) == before
    assert not Path("/tmp/outside.png").exists()


@given(content=st.binary(max_size=300))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize(
    ("name", "part", "file"),
    [
        ("nih", "all", FILE),
        ("vindr-cxr", "train", "annotations_train.csv"),
        ("tbx11k", "train", "TBX11K_train.json"),
        ("tbx11k", "train", "data.csv"),
        ("chexpert", "train", "df_chexpert_plus_240401.csv"),
        ("siim-acr", "all", "stage_1_train_images.csv"),
        ("openi", "dicom", "NLMCXR_reports.tgz"),
        ("object-cxr", "train", "train.csv"),
    ],
)
def test_any_bytes_are_an_error_of_one_kind(
    tmp_path: Path, name: str, part: str, file: str, content: bytes
) -> None:
    (tmp_path / file).write_bytes(content)
    with pytest.raises(DatasetError):
        load(name, tmp_path, part=part, views=["*"])


PADCHEST = "ImageID,Labels,Projection,PatientID,PatientBirth,StudyDate_DICOM,PatientSex_DICOM\n"
RALO = (
    ",\nSubject_ID,Exam_DateTime,Total GEOGRAPHIC,Total OPACITY,Total GEOGRAPHIC,Total OPACITY\n"
    "S1,20200401,many,2,6,3\n"
)
PLUS = "path_to_image,frontal_lateral,ap_pa,age,sex,split\ntrain/patient1/a.jpg,Frontal,PA,6,Male,train\n"


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("object-cxr", {"train.csv": "image_name,annotation\na.jpg,0 1 2 three 4\n"}),
        ("rsna", {"stage_2_train_labels.csv": "patientId,x,y,width,height,Target\na,1,2,3,wide,yes\n"}),
        ("vindr-cxr", {"train.csv": "image_id,class_name,x_min,y_min,x_max,y_max\na,ILD,1,2,3,far\n"}),
        (
            "padchest",
            {"PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv": PADCHEST + "a,b,PA,1,born,?,M\n"},
        ),
        (
            "chexpert",
            {"df_chexpert_plus_240401.csv": PLUS, "impression_fixed.json": '{"path_to_image": ["a"]}\n3\n'},
        ),
        ("tbx11k", {"TBX11K_train.json": '{"images": [3], "categories": [], "annotations": []}'}),
        ("stony-brook", {"ralo-dataset-metadata.csv": RALO}),
    ],
)
def test_a_cell_of_another_kind_is_one_sentence(tmp_path: Path, name: str, files: dict[str, str]) -> None:
    for file, text in files.items():
        (tmp_path / file).write_text(text)
    with pytest.raises(DatasetError, match="get it again"):
        load(name, tmp_path, views=["*"])
