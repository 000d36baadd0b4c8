"""Folders of datasets as their owners publish them: with the label files that torchxrayvision carries, or small."""

from __future__ import annotations

from pathlib import Path

import pytest

from xrv_node.lab.datasets.table import LabelTable

FILES = {
    "nih": {
        "Data_Entry_2017_v2020.csv.gz": "Data_Entry_2017_v2020.csv.gz",
        "BBox_List_2017.csv.gz": "BBox_List_2017.csv.gz",
    },
    "nih-google": {"google2019_nih-chest-xray-labels.csv.gz": "google2019_nih-chest-xray-labels.csv.gz"},
    "rsna": {
        "stage_2_train_labels.csv.zip": "kaggle_stage_2_train_labels.csv.zip",
        "stage_2_train_images_dicom_headers.csv.gz": "kaggle_stage_2_train_images_dicom_headers.csv.gz",
    },
    "padchest": {
        "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz": "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz"
    },
    "chexpert": {"train.csv.gz": "chexpert_train.csv.gz"},
    "openi": {
        "NLMCXR_reports.tgz": "NLMCXR_reports.tgz",
        "nlmcxr_dicom_metadata.csv.gz": "nlmcxr_dicom_metadata.csv.gz",
        "nlmcxr_tsne_pa.csv.gz": "nlmcxr_tsne_pa.csv.gz",
    },
    "siim-acr": {"train-rle.csv.gz": "siim-pneumothorax-train-rle.csv.gz"},
    "vindr-cxr": {"annotations/annotations_train.csv.gz": "vinbigdata-train.csv.gz"},
}
"""By dataset: the owner's name of each file and torchxrayvision's."""


def folder(name: str, place: Path) -> Path:
    """Lay out the label files of a dataset below `place`, without images."""
    xrv = pytest.importorskip("torchxrayvision")
    carried = Path(xrv.__file__).parent / "data"
    for owners, xrvs in FILES[name].items():
        (place / owners).parent.mkdir(parents=True, exist_ok=True)
        (place / owners).symlink_to(carried / xrvs)
    return place


def put(path: Path, text: str = "") -> Path:
    """Write a file, empty unless said otherwise, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def column(table: LabelTable, label: str) -> list[float]:
    """The labels of one name."""
    return table.labels[:, table.pathologies.index(label)].tolist()


def all_there(table: LabelTable) -> bool:
    """Whether every image of a table is a file."""
    return all((table.root / image).is_file() for image in table.csv["image"])
