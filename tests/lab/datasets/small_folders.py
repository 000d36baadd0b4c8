"""Each of the datasets as its owner publishes it, with a few small images: `SMALL[name](folder)` writes it.

Four images or more, of two patients or more where the owner tells them, of the views that are read if nothing is
asked for, with every label that the tests need, and outlines where the owner publishes some.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from made import radiograph

LABELLER = (
    "No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,Edema,Consolidation,Pneumonia,"
    "Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,Support Devices"
)
"""Headings of Stanford's labeller."""

LABELLED = (
    "1.0,,,,,,,,,,,,,1.0",
    ",,1.0,,,0.0,,-1.0,,,1.0,,,",
    ",,0.0,1.0,,1.0,,,,0.0,0.0,,,1.0",
    ",,,,1.0,,1.0,1.0,-1.0,1.0,,,1.0,0.0",
)
"""Four rows under them."""


def written(path: Path, text: str) -> None:
    """Write a file, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def drawn(path: Path, seed: int = 0, size: tuple[int, int] = (64, 64)) -> None:
    """Write a picture that is no constant, in the format of its ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    grey = np.random.default_rng(seed).integers(10, 240, size, dtype=np.uint8)
    assert cv2.imwrite(str(path), cv2.GaussianBlur(grey, (0, 0), 2))


def mask(path: Path, inside: int = 255, size: tuple[int, int] = (64, 64)) -> None:
    """Write a mask of 10 x 20 pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.zeros(size, dtype=np.uint8)
    values[5:15, 20:40] = inside
    assert cv2.imwrite(str(path), values)


def dicom(path: Path, number: int, **attributes: object) -> None:
    """Write a small radiograph."""
    path.parent.mkdir(parents=True, exist_ok=True)
    radiograph(number, number, **attributes).save_as(path, enforce_file_format=True)


def nih(folder: Path) -> None:
    rows = ("No Finding", "Cardiomegaly|Effusion", "Mass", "Pleural_Thickening|Nodule")
    lines = [
        f"{number:08d}_000.png,{found},0,{number},{40 + number},{'MF'[number % 2]},PA,2500,2048,0.168,0.168,"
        for number, found in enumerate(rows, 1)
    ]
    heading = (
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
        "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
    )
    written(folder / "Data_Entry_2017.csv", "\n".join([heading, *lines]) + "\n")
    written(
        folder / "BBox_List_2017.csv",
        "Image Index,Finding Label,Bbox [x,y,w,h],,,\n00000003_000.png,Mass,100.5,200.0,300.0,150.0,,,\n",
    )
    for number in range(1, len(rows) + 1):
        drawn(folder / "images_001/images" / f"{number:08d}_000.png", number)


def nih_google(folder: Path) -> None:
    rows = ("YES,NO,NO,NO", "NO,YES,NO,NO", "NO,NO,YES,NO", "NO,NO,NO,YES")
    for part, numbers in (("test", (1, 2)), ("validation", (3, 4))):
        lines = [
            f"{number:08d}_000.png,No Finding,0,{number},{50 + number},M,PA,2500,2048,0.168,0.168,{rows[number - 1]}"
            for number in numbers
        ]
        heading = (
            "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
            "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
            "Fracture,Pneumothorax,Airspace opacity,Nodule or mass"
        )
        written(
            folder / f"four_findings_expert_labels/{part}_labels.csv", "\n".join([heading, *lines]) + "\n"
        )
    for number in range(1, len(rows) + 1):
        drawn(folder / "images" / f"{number:08d}_000.png", number)


RSNA = [f"0004cfab-14fd-4e49-80ba-63a80b6bddd{number}" for number in range(4)]


def rsna(folder: Path) -> None:
    written(
        folder / "stage_2_train_labels.csv",
        "patientId,x,y,width,height,Target\n"
        f"{RSNA[0]},,,,,0\n{RSNA[1]},264.0,152.0,213.0,379.0,1\n{RSNA[1]},562.0,152.0,256.0,453.0,1\n"
        f"{RSNA[2]},,,,,0\n{RSNA[3]},10.0,20.0,300.0,400.0,1\n",
    )
    for number, name in enumerate(RSNA):
        dicom(
            folder / "stage_2_train_images" / f"{name}.dcm",
            number,
            PatientID=name,
            PatientAge=str(50 + number),
            ViewPosition="PA",
        )


def padchest(folder: Path) -> None:
    rows = ("['normal']", "['cardiomegaly', ' pleural effusion']", "['nodule', 'pacemaker']", "['pneumonia']")
    lines = [
        f'{number},{number}_a.png,0,2014091{number},8{number},19{30 + number}.0,M,PA,"{found}"'
        for number, found in enumerate(rows)
    ]
    heading = ",ImageID,ImageDir,StudyDate_DICOM,PatientID,PatientBirth,PatientSex_DICOM,Projection,Labels"
    written(
        folder / "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv", "\n".join([heading, *lines]) + "\n"
    )
    for number in range(len(rows)):
        drawn(folder / "0" / f"{number}_a.png", number)


def chexpert(folder: Path) -> None:
    paths = [f"train/patient0000{number}/study1/view1_frontal.jpg" for number in range(1, 5)]
    lines = [
        f"CheXpert-v1.0-small/{path},{'Female' if number % 2 else 'Male'},{60 + number},Frontal,PA,{found}"
        for number, (path, found) in enumerate(zip(paths, LABELLED, strict=True))
    ]
    written(
        folder / "train.csv", "\n".join([f"Path,Sex,Age,Frontal/Lateral,AP/PA,{LABELLER}", *lines]) + "\n"
    )
    for number, path in enumerate(paths):
        drawn(folder / path, number)


def chexlocalize(folder: Path) -> None:
    paths = [f"valid/patient6454{number}/study1/view1_frontal.jpg" for number in range(1, 5)]
    zero = [
        found.replace("-1.0", "1.0").split(",") for found in LABELLED
    ]  # its labels are 0 and 1, without blanks
    lines = [
        f"CheXpert-v1.0/{path},Male,{60 + number},Frontal,AP,{','.join(one or '0.0' for one in found)}"
        for number, (path, found) in enumerate(zip(paths, zero, strict=True))
    ]
    written(
        folder / "CheXpert/val_labels.csv",
        "\n".join([f"Path,Sex,Age,Frontal/Lateral,AP/PA,{LABELLER}", *lines]) + "\n",
    )
    runs = {"size": [5, 7], "counts": "`0320004"}
    written(
        folder / "CheXlocalize/gt_segmentations_val.json",
        json.dumps({"patient64543_study1_view1_frontal": {"Airspace Opacity": runs}}),
    )
    for number, path in enumerate(paths):
        drawn(folder / "CheXpert" / path.replace("valid/", "val/"), number)


def mimic_cxr(folder: Path) -> None:
    studies = [f"1000003{number},5041426{number}" for number in range(4)]
    labels = [f"{study},{found}" for study, found in zip(studies, LABELLED, strict=True)]
    written(
        folder / "mimic-cxr-2.0.0-chexpert.csv",
        "\n".join([f"subject_id,study_id,{LABELLER}", *labels]) + "\n",
    )
    lines = [
        f"02aa804{number},{study},CHEST (PA AND LAT),PA,64,64,2180050{number + 1}"
        for number, study in enumerate(studies)
    ]
    heading = (
        "dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns,StudyDate"
    )
    written(folder / "mimic-cxr-2.0.0-metadata.csv", "\n".join([heading, *lines]) + "\n")
    written(
        folder / "patients.csv",
        "subject_id,gender,anchor_age,anchor_year,anchor_year_group,dod\n10000030,F,52,2180,2014 - 2016,\n"
        "10000031,M,70,2170,2014 - 2016,\n",
    )
    for number, study in enumerate(studies):
        subject, name = study.split(",")
        drawn(folder / f"files/p10/p{subject}/s{name}/02aa804{number}.jpg", number)


def openi(folder: Path) -> None:
    for number, term in enumerate(("normal", "Cardiomegaly", "Opacity", "Pleural Effusion"), 1):
        image = f"CXR{number}_IM-000{number}-1001"
        written(
            folder / f"ecgen-radiology/{number}.xml",
            f'<eCitation><uId id="CXR{number}"/><MeSH><major>{term}</major><automatic>{term}</automatic></MeSH>'
            f'<parentImage id="{image}"/></eCitation>',
        )
        dicom(folder / f"{number}/{number}_IM-000{number}-1001.dcm", number, ViewPosition="PA")


SIIM = [f"1.2.276.0.7230010.3.1.4.8323329.30{number}.15178{number}" for number in range(4)]


def siim_acr(folder: Path) -> None:
    written(
        folder / "train-rle.csv",
        f"ImageId, EncodedPixels\n{SIIM[0]}, -1\n{SIIM[1]}, 10 5 1019 5 1019 5\n{SIIM[1]}, 9000 7\n"
        f"{SIIM[2]}, -1\n{SIIM[3]}, 5000 20\n",
    )
    for number, name in enumerate(SIIM):
        dicom(folder / f"dicom-images-train/1.2.{number}/1.3.{number}/{name}.dcm", number, ViewPosition="PA")


def siim_acr_png(folder: Path) -> None:
    """The copy in PNG that lies beside the challenge."""
    place = folder / "siim-acr-pneumothorax"
    for split, numbers in (("train", (0, 1)), ("test", (2, 3))):
        lines = [f"{number}_{split}_{number % 2}_.png,{SIIM[number]},{number % 2}" for number in numbers]
        written(
            place / f"stage_1_{split}_images.csv",
            "\n".join(["new_filename,ImageId,has_pneumo", *lines]) + "\n",
        )
        for number in numbers:
            name = f"{number}_{split}_{number % 2}_.png"
            drawn(place / "png_images" / name, number)
            mask(place / "png_masks" / name, 255 * (number % 2))


def vindr_cxr(folder: Path) -> None:
    names = [f"50a418190bc3fb1ef1633bf9678929b{number}" for number in range(4)]
    found = (
        "No finding,,,,",
        "Cardiomegaly,100,120,200,220",
        "Pleural effusion,10,20,200,250",
        "Lung Opacity,5,6,90,80",
    )
    lines = [
        f"{name},R{reader},{row}" for name, row in zip(names, found, strict=True) for reader in (8, 9, 10)
    ]
    written(
        folder / "annotations/annotations_train.csv",
        "\n".join(["image_id,rad_id,class_name,x_min,y_min,x_max,y_max", *lines]) + "\n",
    )
    for number, name in enumerate(names):
        dicom(folder / f"train/{name}.dicom", number)


def brax(folder: Path) -> None:
    lines = []
    for number, found in enumerate(LABELLED):
        stem = f"id_{number}/Study_1/Series_1/image-{number}"
        lines.append(
            f"Anonymized_DICOMs/{stem}.dcm,images/{stem}.png,id_{number},F,{45 + 5 * number},{found},PA,64,64"
        )
        drawn(folder / f"images/{stem}.png", number)
    heading = f"DicomPath,PngPath,PatientID,PatientSex,PatientAge,{LABELLER},ViewPosition,Rows,Columns"
    written(folder / "master_spreadsheet_update.csv", "\n".join([heading, *lines]) + "\n")


def nlm_tb(folder: Path) -> None:
    place = folder / "MontgomerySet"
    for number in range(1, 5):
        name = f"MCUCXR_000{number}_{number % 2}"
        drawn(place / "CXR_png" / f"{name}.png", number)
        written(
            place / "ClinicalReadings" / f"{name}.txt",
            f"Patient's Sex: {'MF'[number % 2]}\nPatient's Age: 0{20 + number}Y\nnormal\n",
        )
        for side in ("leftMask", "rightMask"):
            mask(place / "ManualMask" / side / f"{name}.png")


def tbx11k(folder: Path) -> None:
    names = ("health/h0001", "sick/s0001", "tb/tb0001", "tb/tb0002")
    kinds = ("ActiveTuberculosis", "ObsoletePulmonaryTuberculosis", "PulmonaryTuberculosis")
    content = {
        "images": [
            {"id": number, "file_name": f"{name}.png", "height": 64, "width": 64}
            for number, name in enumerate(names, 1)
        ],
        "categories": [
            {"id": number, "name": name, "supercategory": "Tuberculosis"}
            for number, name in enumerate(kinds, 1)
        ],
        "annotations": [
            {"id": 1, "image_id": 3, "category_id": 1, "bbox": [10.0, 12.0, 20.0, 30.0]},
            {"id": 2, "image_id": 4, "category_id": 2, "bbox": [1.0, 2.0, 20.0, 30.0]},
        ],
    }
    written(folder / "annotations/json/TBX11K_train.json", json.dumps(content))
    for number, name in enumerate(names):
        drawn(folder / f"imgs/{name}.png", number)


def tbx11k_simplified(folder: Path) -> None:
    """The copy with data.csv."""
    box = "\"{'xmin': 10.0, 'ymin': 12.0, 'width': 20.0, 'height': 30.0}\""
    written(
        folder / "data.csv",
        "fname,image_height,image_width,source,bbox,target,tb_type,image_type\n"
        "h0001.png,64,64,train,none,no_tb,none,healthy\ns0001.png,64,64,train,none,no_tb,none,sick_but_no_tb\n"
        f"tb0001.png,64,64,train,{box},tb,active_tb,tb\ntb0002.png,64,64,train,{box},tb,latent_tb,tb\n",
    )
    for number, name in enumerate(("h0001", "s0001", "tb0001", "tb0002")):
        drawn(folder / f"images/{name}.png", number)


def covid_19(folder: Path) -> None:
    found = ("Pneumonia/Viral/COVID-19", "No Finding", "Pneumonia/Bacterial", "Tuberculosis")
    lines = [
        f"{number},{number},{'MF'[number % 2]},{40 + number},{one},PA,X-ray,{number}.jpg"
        for number, one in enumerate(found, 1)
    ]
    written(
        folder / "metadata.csv",
        "\n".join(["patientid,offset,sex,age,finding,view,modality,filename", *lines]) + "\n",
    )
    for number in range(1, len(found) + 1):
        drawn(folder / "images" / f"{number}.jpg", number)


def stony_brook(folder: Path) -> None:
    lines = [
        f"A{number},2020040{number}_101010,{number},{number + 1},{number},{number}" for number in range(1, 5)
    ]
    heading = "Subject_ID,Exam_DateTime,Total GEOGRAPHIC,Total OPACITY,Total GEOGRAPHIC,Total OPACITY"
    written(
        folder / "ralo-dataset-metadata.csv", "\n".join([",,Reader 1,,Reader 2,", heading, *lines]) + "\n"
    )
    for number in range(len(lines)):
        drawn(folder / "CXR_images_scored" / f"{number}.jpg", number)


def object_cxr(folder: Path) -> None:
    rows = ("", "0 10 12 30 40", "1 5 6 20 30;0 1 2 9 9", "2 1 1 20 1 20 20")
    lines = [f"0000{number}.jpg,{found}" for number, found in enumerate(rows, 1)]
    written(folder / "train.csv", "\n".join(["image_name,annotation", *lines]) + "\n")
    for number in range(1, len(rows) + 1):
        drawn(folder / "train" / f"0000{number}.jpg", number)


SMALL: dict[str, Callable[[Path], None]] = {
    "nih": nih,
    "nih-google": nih_google,
    "rsna": rsna,
    "padchest": padchest,
    "chexpert": chexpert,
    "chexlocalize": chexlocalize,
    "mimic-cxr": mimic_cxr,
    "openi": openi,
    "siim-acr": siim_acr,
    "vindr-cxr": vindr_cxr,
    "brax": brax,
    "nlm-tb": nlm_tb,
    "tbx11k": tbx11k,
    "covid-19": covid_19,
    "stony-brook": stony_brook,
    "object-cxr": object_cxr,
}
"""By the dataset's name."""

COPIES: dict[str, tuple[str, Callable[[Path], None]]] = {
    "siim-acr in PNG": ("siim-acr", siim_acr_png),
    "tbx11k simplified": ("tbx11k", tbx11k_simplified),
}
"""Other layouts that many have: the dataset's name, and what writes it."""
