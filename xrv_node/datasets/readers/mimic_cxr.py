"""MIMIC-CXR-JPG: labels by the CheXpert or the NegBio labeller, joined with the images' metadata."""

from __future__ import annotations

import pandas as pd

from xrv_node.datasets import rows
from xrv_node.datasets.catalog import Options
from xrv_node.datasets.found import Folder, read_table
from xrv_node.datasets.readers import labeler
from xrv_node.datasets.table import LabelTable

_STUDY = ["subject_id", "study_id"]


def read(folder: Folder, options: Options) -> LabelTable:
    """Read the labels of the part's labeller; age and sex where MIMIC-IV's ``patients.csv`` is there too."""
    found = folder.table(f"mimic-cxr-2.0.0-{options.part}.csv", columns=_STUDY)
    metadata = folder.table(
        "mimic-cxr-2.0.0-metadata.csv", columns=(*_STUDY, "dicom_id", "ViewPosition", "StudyDate")
    )
    frame = found.merge(metadata, on=_STUDY)
    frame = rows.selected(frame.assign(view=frame["ViewPosition"]), options, "subject_id")
    labels = labeler.labels(frame, folder.entry.pathologies, spare_devices=not options.xrv_compatible)
    frame = _with_patients(folder, frame)
    frame["offset_day_int"] = frame["StudyDate"] if options.xrv_compatible else rows.days(frame["StudyDate"])
    frame["image"] = folder.placed(_paths(frame))
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
