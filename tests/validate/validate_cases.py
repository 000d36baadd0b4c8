"""A dataset in its owner's format, small enough to be scored in a test: pictures with something bright in them."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np

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
