"""MIMIC-CXR-JPG: labels by the CheXpert or the NegBio labeller or a radiologist, and the images' metadata."""

from __future__ import annotations

import pandas as pd

from xrv_node.lab.datasets import rows
from xrv_node.lab.datasets.catalog import Options
from xrv_node.lab.datasets.folder import Folder, read_table
from xrv_node.lab.datasets.readers import labeler
from xrv_node.lab.datasets.table import LabelTable

_STUDY = ["subject_id", "study_id"]

_FILES = {
    "chexpert": ("mimic-cxr-2.0.0-chexpert.csv", _STUDY),
    "negbio": ("mimic-cxr-2.0.0-negbio.csv", _STUDY),
    "radiologist": ("mimic-cxr-2.1.0-test-set-labeled.csv", ["study_id"]),
}
"""By part: the file, the same in releases 2.0.0 and 2.1.0, and the columns that name a study in it."""

_HEADINGS = {"Airspace Opacity": "Lung Opacity"}
"""What the radiologist's file calls otherwise."""


def read(folder: Folder, options: Options) -> LabelTable:
    """Read the labels of the part; age and sex where MIMIC-IV's ``patients.csv`` is there too.

    The images may be MIMIC-CXR's DICOM files, which have the same paths.
    """
    name, study = _FILES[options.part]
    found = folder.table(name, columns=study).rename(columns=_HEADINGS)
    metadata = folder.table(
        "mimic-cxr-2.0.0-metadata.csv", columns=(*_STUDY, "dicom_id", "ViewPosition", "StudyDate")
    )
    frame = found.merge(metadata, on=study)
    frame = rows.selected(frame.assign(view=frame["ViewPosition"]), options, "subject_id")
    labels = labeler.labels(frame, folder.entry.pathologies, spare_devices=not options.xrv_compatible)
    frame = _with_patients(folder, frame)
    frame["offset_day_int"] = frame["StudyDate"] if options.xrv_compatible else rows.days(frame["StudyDate"])
    jpeg = _paths(frame)
    frame["image"] = folder.placed(jpeg, jpeg.str.replace(".jpg", ".dcm", regex=False))
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
    columns = ["subject_id", "gender", "anchor_age", "anchor_year"]
    patients = read_table(path, columns)[columns].drop_duplicates("subject_id")
    frame = frame.merge(patients, on="subject_id", how="left")
    since = frame["StudyDate"] // 10000 - frame["anchor_year"]
    return frame.assign(sex=frame["gender"], age_years=frame["anchor_age"] + since)
