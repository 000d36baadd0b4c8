"""What the tests of training share: small tables of drawn images, and a network that is trained in seconds."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from xrv_node.lab.datasets.table import LabelTable
from xrv_node.models import architectures, inputs

LABELS = ("Effusion", "Mass")


class Small(nn.Module):
    """The classifier's first and last layers by their own names, and little in between."""

    def __init__(self, heads: int = 18) -> None:
        super().__init__()
        self.features = nn.Sequential()
        self.features.add_module("conv0", nn.Conv2d(1, 8, 7, stride=8, padding=3, bias=False))
        self.features.add_module("norm0", nn.BatchNorm2d(8))
        self.features.add_module("relu0", nn.ReLU())
        self.features.add_module("conv1", nn.Conv2d(8, 16, 3, stride=2, padding=1))
        self.classifier = nn.Linear(16, heads)

    def forward(self, x: Tensor) -> Tensor:
        features = functional.relu(self.features(inputs.checked(x, 224)))
        return self.classifier(features.mean(dim=(2, 3)))


def install() -> None:
    """Have "densenet121" mean the small network, in this process."""
    architectures.ARCHITECTURES["densenet121"] = Small


def table(folder: Path, images: int = 24, unknown: float = 0.0, seed: int = 0) -> LabelTable:
    """A dataset whose findings can be seen: Effusion brightens the lower half, Mass is a bright disc."""
    random = np.random.default_rng(seed)
    labels = random.permuted(np.tile([[0.0], [1.0]], (images // 2, 2)), axis=0).astype(np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    for row, (effusion, mass) in enumerate(labels):
        pixels = random.normal(90, 8, (64, 64))
        pixels[32:] += 90 * effusion
        if mass:
            cv2.circle(pixels, (20, 16), 9, 240.0, -1)
        cv2.imwrite(str(folder / f"{row}.png"), pixels.clip(0, 255).astype(np.uint8))
    labels[random.random(labels.shape) < unknown] = np.nan
    frame = pd.DataFrame(
        {
            "image": [f"{row}.png" for row in range(images)],
            "patientid": [str(row // 2) for row in range(images)],
            "view": "PA",
            "offset_day_int": np.nan,
            "age_years": 50.0,
            "sex": "F",
            "has_masks": False,
        }
    )
    regions = np.empty(images, dtype=object)
    regions[:] = [()] * images
    return LabelTable("drawn", folder, LABELS, labels, frame, regions)


def radiographs(data: Path, folder: Path) -> Path:
    """The real radiographs of NIH in the layout of their owner: links to the images, and the table of labels."""
    source = data / "nih"
    if not (source / "labels.csv").is_file():
        pytest.skip("the radiographs with labels are not here")
    (folder / "images").mkdir(parents=True)
    told = pd.read_csv(source / "labels.csv", keep_default_na=False)
    for image in told["image"]:
        # a folder that is a link is not looked into
        (folder / "images" / image).symlink_to(source / "images" / image)
    names = {
        "image": "Image Index",
        "finding_labels": "Finding Labels",
        "patient_id": "Patient ID",
        "age": "Patient Age",
        "sex": "Patient Gender",
        "view": "View Position",
    }
    told[list(names)].rename(columns=names).to_csv(folder / "Data_Entry_2017_v2020.csv", index=False)
    return folder


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Whether two state dicts are the same to the last bit."""
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)
