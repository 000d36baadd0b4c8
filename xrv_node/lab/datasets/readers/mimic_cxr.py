"""MIMIC-CXR-JPG: labels by the CheXpert or the NegBio labeller or a radiologist, and the images' metadata."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from xrv_node.lab.datasets import rows
from xrv_node.lab.datasets.catalog import Options
from xrv_node.lab.datasets.columns import UNKNOWN, Number, Place, Words
from xrv_node.lab.datasets.csv_table import read_table
from xrv_node.lab.datasets.folder import Folder
from xrv_node.lab.datasets.readers import labeler
from xrv_node.lab.datasets.table import LabelTable

_STUDY = ["subject_id", "study_id"]

_FILES = {
    "chexpert": ("mimic-cxr-2.0.0-chexpert.csv", _STUDY),
    "negbio": ("mimic-cxr-2.0.0-negbio.csv", _STUDY),
    "radiologist": ("mimic-cxr-2.1.0-test-set-labeled.csv", ["study_id"]),
}
"""By part: the file, the same in releases 2.0.0 and 2.1.0, and the columns that name a study in it."""

_IDS = {heading: Number(heading, low=1, whole=True) for heading in _STUDY}
METADATA_COLUMNS = (
    *_IDS.values(),
    Place("dicom_id"),
    Words(
        "ViewPosition",
        "unknown",
        words=(
            *("AP", "PA", "LATERAL", "LL", "RL", "LAO", "RAO", "LPO", "RPO", "AP AXIAL", "AP LLD", "AP RLD"),
            *("PA LLD", "PA RLD", "XTABLE LATERAL", "SWIMMERS", "L5 S1"),
        ),
    ),
    Number("StudyDate", low=1900_01_01, high=2300_12_31, whole=True),
)
PATIENT_COLUMNS = (
    _IDS["subject_id"],
    Words("gender", UNKNOWN, words=("M", "F")),
    Number("anchor_age", UNKNOWN),
    Number("anchor_year", UNKNOWN, low=1900, high=2300, whole=True),
)

_HEADINGS = {"Airspace Opacity": "Lung Opacity"}
"""What the radiologist's file calls otherwise."""
LABEL_COLUMNS = (*labeler.COLUMNS, *(replace(labeler.LABEL, heading=heading) for heading in _HEADINGS))


TABLES = {
    "mimic-cxr-2.0.0-chexpert.csv, -negbio.csv, 2.1.0-test-set-labeled.csv": (*_IDS.values(), *LABEL_COLUMNS),
    "mimic-cxr-2.0.0-metadata.csv": METADATA_COLUMNS,
    "patients.csv (MIMIC-IV)": PATIENT_COLUMNS,
}


def read(folder: Folder, options: Options) -> LabelTable:
    """Read the labels of the part; age and sex where MIMIC-IV's ``patients.csv`` is there too.

    The images may be MIMIC-CXR's DICOM files, which have the same paths.
    """
    name, study = _FILES[options.part]
    as_is = options.xrv_compatible
    columns = (*(_IDS[heading] for heading in study), *LABEL_COLUMNS)
    found = folder.table(name, columns=columns, key="study_id", as_is=as_is).rename(columns=_HEADINGS)
    metadata = folder.table(
        "mimic-cxr-2.0.0-metadata.csv", columns=METADATA_COLUMNS, key="dicom_id", as_is=as_is
    )
    frame = found.merge(metadata, on=study)
    if without := len(metadata) - len(frame):
        folder.notes.append(f"{without} images of studies without labels are left out")
    frame = rows.selected(folder, frame.assign(view=frame["ViewPosition"]), options, "subject_id")
    labels = labeler.labels(folder, frame, as_is=as_is, spare_devices=not as_is)
    frame = _with_patients(folder, frame)
    frame["offset_day_int"] = frame["StudyDate"] if options.xrv_compatible else rows.days(frame["StudyDate"])
    jpeg = _paths(frame)
    frame["image"] = folder.images(jpeg, jpeg.str.replace(".jpg", ".dcm", regex=False))
    return rows.built(folder, options, frame, labels)


def _paths(frame: pd.DataFrame) -> pd.Series:
    """``p10/p10000032/s50414267/<dicom_id>.jpg``: subject's first two digits, subject, study, image."""
    subject = frame["subject_id"].astype(str)
    study, dicom = frame["study_id"].astype(str), frame["dicom_id"].astype(str)
    return "p" + subject.str[:2] + "/p" + subject + "/s" + study + "/" + dicom + ".jpg"


def _with_patients(folder: Folder, frame: pd.DataFrame) -> pd.DataFrame:
    """The metadata say nothing of the patients. MIMIC-IV does, in years shifted alike for both."""
    frame = frame.assign(patientid=frame["subject_id"])
    if (path := folder.find("patients.csv")) is None:
        return frame
    patients = read_table(path, PATIENT_COLUMNS, key="subject_id", notes=folder.notes)
    patients = patients[[column.heading for column in PATIENT_COLUMNS]]
    frame = frame.merge(patients, on="subject_id", how="left")
    since = frame["StudyDate"] // 10000 - frame["anchor_year"]
    return frame.assign(sex=frame["gender"], age_years=frame["anchor_age"] + since)
