"""PadChest: one table of 160,000 images with findings in words."""

from __future__ import annotations

import pandas as pd

from xrv_node.lab.datasets import rows
from xrv_node.lab.datasets.catalog import Options
from xrv_node.lab.datasets.columns import UNKNOWN, Name, Number, Place, Words
from xrv_node.lab.datasets.folder import Folder
from xrv_node.lab.datasets.readers.padchest_findings import Findings
from xrv_node.lab.datasets.table import LabelTable

_SYNONYMS = {
    "Infiltration": (
        *("infiltrates", "interstitial pattern", "ground glass pattern", "reticular interstitial pattern"),
        *("reticulonodular interstitial pattern", "alveolar pattern", "consolidation", "air bronchogram"),
    ),
    "Pleural_Thickening": ("pleural thickening",),
    "Consolidation": ("air bronchogram",),
    "Hilar Enlargement": ("adenopathy", "pulmonary artery enlargement"),
    "Support Devices": ("device", "pacemaker"),
    "Tube": ("stent'",),
}
"""PadChest's findings that torchxrayvision counts under a label beside those that contain its name."""

_WHOLE = {"Tube": "tube'"}
"""The finding's closing quote is searched with it: it must end in the word."""

_BROKEN = (
    *(
        "216840111366964012819207061112010307142602253_04-014-084",
        "216840111366964012989926673512011074122523403_00-163-058",
    ),
    *(
        "216840111366964012959786098432011033083840143_00-176-115",
        "216840111366964012558082906712009327122220177_00-102-064",
    ),
    *(
        "216840111366964012339356563862009072111404053_00-043-192",
        "216840111366964013076187734852011291090445391_00-196-188",
    ),
    *(
        "216840111366964012373310883942009117084022290_00-064-025",
        "216840111366964012283393834152009033102258826_00-059-087",
    ),
    *(
        "216840111366964012373310883942009170084120009_00-097-074",
        "216840111366964012819207061112010315104455352_04-024-184",
    ),
    *(
        "216840111366964012819207061112010306085429121_04-020-102",
        "216840111366964012989926673512011083134050913_00-168-009",
    ),
    *(
        "216840111366964012373310883942009152114636712_00-102-045",
        "216840111366964012819207061112010281134410801_00-129-131",
    ),
    *(
        "216840111366964012487858717522009280135853083_00-075-001",
        "216840111366964012989926673512011151082430686_00-157-045",
    ),
    *(
        "216840111366964013686042548532013208193054515_02-026-007",
        "216840111366964013590140476722013058110301622_02-056-111",
    ),
    *(
        "216840111366964013590140476722013043111952381_02-065-198",
        "216840111366964013829543166512013353113303615_02-092-190",
    ),
    *("216840111366964013962490064942014134093945580_01-178-104",),
)
"""Images that were published damaged, or not at all, as torchxrayvision lists them."""

COLUMNS = (
    Place("ImageID"),
    Findings("Labels", "left out, counted"),
    Words("Projection", UNKNOWN, words=("PA", "L", "AP", "AP_horizontal", "COSTAL", "EXCLUDE", "UNK")),
    Name("PatientID", UNKNOWN),
    Number("PatientBirth", "left out, counted", low=1850, high=2020, whole=True),
    Number("StudyDate_DICOM", UNKNOWN, low=1900_01_01, high=2020_12_31, whole=True),
    Words("PatientSex_DICOM", "unknown", words=("M", "F", "O")),
)


def _count_left_out(folder: Folder, frame: pd.DataFrame) -> None:
    without = int(frame["Labels"].isna().sum())
    young = int((~(2019 - frame["PatientBirth"] > 10)).sum())
    for count, what in (
        (without, "images without labels"),
        (young, "images of patients born in 2009 or later, or nobody says when,"),
    ):
        if count:
            folder.notes.append(f"{count} {what} are left out")


TABLES = {"PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv": COLUMNS}


def read(folder: Folder, options: Options) -> LabelTable:
    """Read the table, without images that have no labels or are of children under ten.

    The age is that on the day of the exam, by the year; torchxrayvision gives that in 2017 to all exams.
    """
    frame = folder.table(
        "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv",
        columns=COLUMNS,
        key="ImageID",
        as_is=options.xrv_compatible,
    )
    _count_left_out(folder, frame)
    broken = frame["ImageID"].isin([f"{name}.png" for name in _BROKEN])
    frame = frame[frame["Labels"].notna() & ~broken]
    view = frame["Projection"].replace({"AP_horizontal": "AP Supine"})
    frame = rows.selected(folder, frame.assign(view=view), options, "PatientID").sort_values("ImageID")
    frame = frame[2019 - frame["PatientBirth"] > 10].reset_index(
        drop=True
    )  # the rule that its counts rest on
    labels = rows.containing(
        frame["Labels"],
        {
            name: (_WHOLE.get(name, name.lower()), *_SYNONYMS.get(name, ()))
            for name in folder.entry.pathologies
        },
    )
    dates = frame["StudyDate_DICOM"]
    frame = frame.assign(
        patientid=frame["PatientID"],
        sex=frame["PatientSex_DICOM"],
        offset_day_int=rows.as_xrv_days(dates) if options.xrv_compatible else rows.days(dates),
        age_years=(2017 if options.xrv_compatible else dates // 10000) - frame["PatientBirth"],
        image=folder.images(frame["ImageID"]),
    )
    return rows.built(folder, options, frame, labels)
