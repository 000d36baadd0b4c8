"""What tests share: small datasets in their owners' formats, figures with every part, a page taken apart."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np

from xrv_node.lab.statistics.evaluate import evaluate
from xrv_node.lab.statistics.intervals import Estimate
from xrv_node.lab.statistics.labelled_scores import LabelledScores
from xrv_node.lab.validate.about import About
from xrv_node.lab.validate.published import PublishedStructure, published
from xrv_node.lab.validate.returned_masks import OverlapFigures, ReturnedMasks
from xrv_node.lab.validate.store_with_labels import Localisation
from xrv_node.lab.validate.structures import StructureFigures
from xrv_node.lab.validate.through_node import Difference
from xrv_node.lab.validate.validation import ThroughNode, Validation

HEADINGS = (
    "Image Index",
    "Finding Labels",
    "Follow-up #",
    "Patient ID",
    "Patient Age",
    "Patient Gender",
    "View Position",
)


def nih(folder: Path, count: int = 12) -> Path:
    """Lay out NIH ChestX-ray14 with a list of labels and one picture a row; every third has an effusion."""
    images = folder / "images"
    images.mkdir(parents=True)
    rows = []
    for number in range(count):
        found = "Effusion" if number % 3 == 0 else "Mass|Nodule" if number % 3 == 1 else "No Finding"
        name = f"{number:08d}_000.png"
        cv2.imwrite(str(images / name), picture(number, found == "Effusion"))
        rows.append((name, found, 0, number // 2, 30 + number, "MF"[number % 2], ("PA", "AP")[number % 2]))
    write(folder / "Data_Entry_2017_v2020.csv", rows)
    return folder


def montgomery(
    folder: Path, pictures: dict[str, np.ndarray], masks: dict[str, dict[str, np.ndarray]]
) -> Path:
    """Lay out NLM TB's Montgomery set: pictures by file name, and masks by side (``left``, ``right``) of some."""
    place = folder / "MontgomerySet"
    for name in ("CXR_png", "ManualMask/leftMask", "ManualMask/rightMask"):
        (place / name).mkdir(parents=True)
    for name, pixels in pictures.items():
        cv2.imwrite(str(place / "CXR_png" / name), pixels)
        for side, mask in masks.get(name, {}).items():
            cv2.imwrite(str(place / f"ManualMask/{side}Mask" / name), mask.astype(np.uint8) * 255)
    return folder


def covid(folder: Path, images: Mapping[str, tuple[str, bytes]], masks: Mapping[str, bytes]) -> Path:
    """Lay out the COVID-19 collection.

    By the image's file name: its view and its bytes, and the PNG of its lungs (255 inside), if it has one. Of
    two images one is labelled as pneumonia; each is of a patient of its own.
    """
    (folder / "images").mkdir(parents=True)
    with (folder / "metadata.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("patientid", "offset", "sex", "age", "finding", "view", "filename"))
        for number, (name, (view, content)) in enumerate(images.items()):
            (folder / "images" / name).write_bytes(content)
            finding = ("Pneumonia/Viral/COVID-19", "No Finding")[number % 2]
            rows.writerow((number, "", "MF"[number % 2], 40 + number, finding, view, name))
    with zipfile.ZipFile(folder / "semantic_masks_v7labs_lungs.zip", "w") as archive:
        for name, content in masks.items():
            archive.writestr(f"semantic_masks_v7labs_lungs/{name}", content)
    return folder


def picture(seed: int, bright: bool) -> np.ndarray:
    """Smooth noise of 256 x 256, 8 bits, with a bright corner or without."""
    noise = np.random.default_rng(seed).uniform(0, 255, (8, 8)).astype(np.float32)
    drawn = cv2.resize(noise, (256, 256), interpolation=cv2.INTER_CUBIC)
    if bright:
        drawn[150:, :120] = 250
    return np.clip(drawn, 0, 255).astype(np.uint8)


def write(path: Path, rows: list[tuple[object, ...]]) -> None:
    """Write the owner's table."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([HEADINGS, *rows])


class Page(HTMLParser):
    """Tags, texts, and whatever a page would load from elsewhere."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.loaded: list[str] = []
        self.alts: list[str | None] = []
        self.attributes: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.alts += [v for k, v in attrs if k == "alt"]
        self.attributes += [k for k, _ in attrs]
        loads = {"src"} if tag == "a" else {"src", "href"}  # a link is followed by a person only
        self.loaded += [v for k, v in attrs if k in loads and v and not v.startswith("data:")]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@cache
def large(n: int = 400) -> Validation:
    """A validation with every part: subgroups, published figures, something left out."""
    generator = np.random.default_rng(3)
    names = ("Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Pneumothorax")
    labels = (generator.random((n, len(names))) < 0.3).astype(np.float32)
    logits = generator.normal(size=labels.shape) + 1.5 * labels - 1
    sigmoids = (1 / (1 + np.exp(-logits))).astype(np.float32)
    scored = LabelledScores(
        names, sigmoids, labels, np.arange(n).astype(str), generator.choice(["M", "F"], n),
        generator.uniform(18, 90, n), generator.choice(["PA", "AP"], n), sigmoids, generator.random(n) < 0.02,
    )  # fmt: skip
    about = About(
        "nih", "NIH ChestX-ray14", "nihcc", "all views", n + 3, n, {"The <file> is damaged.": 3},
        ("Hernia",), ("densenet121-res224-all " + "0" * 64,), "the published ones", ("Caution.",), "exact",
        False, "0.1.0", "2026-03-01T00:00:00+00:00",
    )  # fmt: skip
    return Validation(about, evaluate(scored, rounds=20), published("nih", "densenet121-res224-all"))


@cache
def with_every_part() -> Validation:
    """`large`, and what only some validations have: marked regions, structures, the way through a node."""
    whole = large()
    evaluation = replace(whole.evaluation, findings=tuple(
        replace(f, at_chosen=f.at_operating_point) for f in whole.evaluation.findings
    ))  # fmt: skip
    sure = Estimate(0.9, 0.8, 0.95)
    structures = (StructureFigures("Left Lung", 10, sure, sure, sure, sure),)
    masks = ReturnedMasks(
        10, 2, {"Not read.": 2}, 3, (OverlapFigures("Left Lung", 9, 0.99, 0.98, 0.97, 0.96, 3, 100, 1e-3),),
        structures, structures, 1e-5, None,
    )  # fmt: skip
    difference = Difference("XRVNODE@127.0.0.1:104", 10, 9, 8, {"No report.": 1}, 1e-6, None, 3)
    return replace(
        whole, evaluation=evaluation, localisation=(Localisation("Effusion", 3, sure, 0.1, 0.2, 0.3),),
        through_node=ThroughNode(difference, evaluation, masks), structures=structures,
        published_structures=(PublishedStructure("Left Lung", "200 images", 0.9, 0.95),),
    )  # fmt: skip
