"""The releases of a dataset and their tables, each as a small copy in the same format."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import owners
import pytest
from owners import all_there, column, put

from xrv_node.errors import DatasetError
from xrv_node.lab.datasets.load import load
from xrv_node.lab.datasets.masks import pathology_masks


def test_nih_of_2017_has_another_heading_and_a_comma_too_many(tmp_path: Path) -> None:
    put(
        tmp_path / "Data_Entry_2017.csv",
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
        "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],\n"
        "00000001_000.png,Cardiomegaly|Emphysema,0,1,058Y,M,PA,2682,2749,0.143,0.143,\n",
    )
    put(tmp_path / "images_001/images/00000001_000.png")
    table = load("nih", tmp_path)
    assert (table.csv["age_years"][0], table.csv["sex"][0], table.csv["patientid"][0]) == (58, "M", "1")
    assert column(table, "Emphysema") == [1]
    assert all_there(table)


def test_nih_google_in_one_file_calls_validation_val(tmp_path: Path) -> None:
    folder = owners.folder("nih-google", tmp_path)
    parts = {
        part: len(load("nih-google", folder, part=part, views=["*"], unique_patients=False))
        for part in ("all", "test", "validation")
    }
    assert parts == {"all": 4376, "test": 1962, "validation": 2414}


@pytest.mark.parametrize("image", ["PNG/train/{0}.png", "DICOM/Uncompressed/train/{0}.dcm"])
def test_chexpert_plus(tmp_path: Path, image: str) -> None:
    names = ["patient42142/study5/view1_frontal", "patient42142/study5/view2_lateral"]
    put(
        tmp_path / "df_chexpert_plus_240401.csv",
        "path_to_image,path_to_dcm,frontal_lateral,ap_pa,deid_patient_id,report,age,sex,split\n"
        f'train/{names[0]}.jpg,train/{names[0]}.dcm,Frontal,AP,patient42142,"a, b",68,Female,train\n'
        f"train/{names[1]}.jpg,train/{names[1]}.dcm,Lateral,,patient42142,c,68,Female,train\n"
        "valid/p/study1/view1_frontal.jpg,valid/p/study1/view1_frontal.dcm,Frontal,PA,p,d,50,Male,valid\n",
    )
    found = {"path_to_image": f"train/{names[0]}.jpg", "Edema": 1.0, "Pneumonia": -1.0, "Fracture": None}
    put(tmp_path / "impression_fixed.json", json.dumps(found) + "\n")
    for name in names:
        put(tmp_path / image.format(name))
    table = load("chexpert", tmp_path, views=["*"], unique_patients=False)
    assert table.csv["view"].tolist() == ["AP", "L"]
    assert (table.csv["patientid"][0], table.csv["sex"][0], table.csv["age_years"][0]) == ("42142", "F", 68)
    assert column(table, "Edema")[0] == 1
    assert np.isnan([column(table, name)[0] for name in ("Pneumonia", "Fracture")]).all()
    assert "report" not in table.csv.columns
    assert all_there(table)
    put(tmp_path / "impression_fixed.json", "{")
    with pytest.raises(DatasetError, match="cannot be read as lines of JSON"):
        load("chexpert", tmp_path)


def test_mimic_with_a_radiologists_labels_and_dicom_images(tmp_path: Path) -> None:
    put(
        tmp_path / "mimic-cxr-2.1.0-test-set-labeled.csv",
        "study_id,Enlarged Cardiomediastinum,Airspace Opacity,Edema,No Finding\n53189527,,1.0,-1.0,\n",
    )
    put(
        tmp_path / "mimic-cxr-2.0.0-metadata.csv",
        "dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns,StudyDate\n"
        "2a2277a9,10000032,53189527,CHEST (PA AND LAT),PA,3056,2544,21800626\n"
        "e084de3b,10000032,53189527,CHEST (PA AND LAT),LL,3056,2544,21800626\n",
    )
    put(tmp_path / "files/p10/p10000032/s53189527/2a2277a9.dcm")
    table = load("mimic-cxr", tmp_path, part="radiologist", views=["*"], unique_patients=False)
    assert table.csv["view"].tolist() == ["PA", "LL"]
    assert column(table, "Lung Opacity") == [1, 1]
    assert np.isnan(column(table, "Edema")).all()
    assert table[0].image.is_file()
    assert len(load("mimic-cxr", tmp_path, part="radiologist", views=["L"])) == 1


def test_siim_of_the_second_stage(tmp_path: Path) -> None:
    put(
        tmp_path / "stage_2_train.csv",
        "ImageId,EncodedPixels\n1.2.3,-1\n1.2.4,10 5 1019 5\n1.2.4,99 1\n",
    )
    put(tmp_path / "dicom-images-train/1.2/1.2.9/1.2.4.dcm")
    table = load("siim-acr", tmp_path)
    assert column(table, "Pneumothorax") == [0, 1]
    assert pathology_masks(table, table[1], (1024, 1024))[0].sum() == 11
    assert table[1].image.is_file()


def test_siim_in_png(tmp_path: Path) -> None:
    place = tmp_path / "siim-acr-pneumothorax"
    for split, name, found in (("train", "0_train_1_.png", 1), ("test", "0_test_0_.png", 0)):
        put(
            place / f"stage_1_{split}_images.csv",
            f"new_filename,ImageId,has_pneumo\n{name},1.2.{found},{found}\n",
        )
        for kind in ("png_images", "png_masks"):
            (place / kind).mkdir(exist_ok=True)
            picture = np.zeros((64, 64), dtype=np.uint8)
            picture[5:15, 20:40] = 255 if kind == "png_images" or found else 0
            cv2.imwrite(str(place / kind / name), picture)
    table = load("siim-acr", tmp_path)
    assert column(table, "Pneumothorax") == [1, 0]
    assert table.csv["has_masks"].tolist() == [True, False]
    assert pathology_masks(table, table[0], (64, 64))[0].sum() == 200
    assert all_there(table)
    assert len(load("siim-acr", place)) == 2


@pytest.mark.parametrize("beside", [True, False])
def test_vindr_of_the_challenge_reduced_to_png(tmp_path: Path, beside: bool) -> None:
    sizes = "" if beside else ",width,height"
    put(
        tmp_path / "train.csv",
        f"image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max{sizes}\n"
        f"abc,Cardiomegaly,3,R10,400,1000,800,2000{'' if beside else ',2000,4000'}\n",
    )
    if beside:
        put(tmp_path / "train_meta.csv", "image_id,dim0,dim1\nabc,4000,2000\n")
    put(tmp_path / "train/abc.png")
    table = load("vindr-cxr", tmp_path)
    mask = pathology_masks(table, table[0], (400, 200))[table.pathologies.index("Cardiomegaly")]
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    assert (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1) == (100, 200, 40, 80)
    assert table.csv["view"].tolist() == ["PA"]
    assert all_there(table)


def test_tbx11k_simplified(tmp_path: Path) -> None:
    box = "\"{'xmin': 187.6, 'ymin': 10.0, 'width': 20.5, 'height': 40.25}\""
    put(
        tmp_path / "data.csv",
        "fname,image_height,image_width,source,bbox,target,tb_type,image_type\n"
        "h0003.png,512,512,train,none,no_tb,none,healthy\n"
        f"tb0003.png,512,512,train,{box},tb,active_tb,tb\n"
        f"tb0003.png,512,512,train,{box},tb,latent_tb,tb\n"
        "tb0005.png,512,512,val,none,tb,latent_tb,tb\n",
    )
    for name in ("h0003", "tb0003", "tb0005"):
        put(tmp_path / f"images/{name}.png")
    table = load("tbx11k", tmp_path, part="trainval")
    assert table.labels.tolist() == [[0, 0, 0, 0], [1, 1, 0, 1], [0, 1, 0, 1]]
    assert [region.data for region in table.regions[1]] == [(187.6, 10.0, 20.5, 40.25)] * 2
    assert all_there(table)
    assert [len(load("tbx11k", tmp_path, part=part)) for part in ("train", "val")] == [2, 1]


def test_slices_of_ct_are_no_radiographs(tmp_path: Path) -> None:
    put(
        tmp_path / "metadata.csv",
        "patientid,offset,sex,age,finding,view,modality,filename\n"
        "1,0,M,65,Pneumonia/Viral/COVID-19,PA,X-ray,a.jpg\n2,0,F,40,Pneumonia,Axial,CT,b.jpg\n",
    )
    assert load("covid-19", tmp_path, views=["*"]).csv["filename"].tolist() == ["a.jpg"]
    assert len(load("covid-19", tmp_path, views=["*"], xrv_compatible=True)) == 2
