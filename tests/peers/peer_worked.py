"""A study with everything in it: a synthetic radiograph and the findings and masks that somebody might get for it.

Nothing is computed by a network. The masks are ellipses laid over the phantom's shapes by eye.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache

import cv2
import numpy as np
import shapes
from pydicom import Dataset

from xrv_node.analyse.heatmap import region
from xrv_node.reasons import as_is
from xrv_node.report import codes
from xrv_node.values import (
    Analysis,
    Finding,
    Frame,
    FrontalDecision,
    ImageOutcome,
    ModelIdentity,
    ModelSet,
    StudyOutcome,
    Verdict,
)

SIDE = 1024
MODELS = ModelSet(
    ModelIdentity("classifier", "densenet121-res224-all", "a" * 64),
    ModelIdentity("segmenter", "chestx_det", "b" * 64),
    ModelIdentity("autoencoder", "101-elastic", "c" * 64),
)
SCORES = {"Effusion": 0.823, "Cardiomegaly": 0.641, "Lung Opacity": 0.587, "Atelectasis": 0.466}
PEAKS = {"Effusion": (4.3, 1.3), "Cardiomegaly": (4.1, 3.4), "Lung Opacity": (3.4, 1.5)}
"""Where the activation map (7 rows, 7 columns) of a finding is strongest."""
ELLIPSES = {
    # column and row of the centre, half axes, in parts of the side
    "Left Lung": ((0.69, 0.47), (0.13, 0.33)),
    "Right Lung": ((0.31, 0.41), (0.13, 0.27)),
    "Heart": ((0.555, 0.64), (0.155, 0.15)),
    "Aorta": ((0.56, 0.3), (0.035, 0.05)),
    "Mediastinum": ((0.5, 0.37), (0.075, 0.24)),
    "Spine": ((0.5, 0.5), (0.032, 0.48)),
    "Left Clavicle": ((0.77, 0.24), (0.13, 0.015)),
    "Right Clavicle": ((0.23, 0.24), (0.13, 0.015)),
    "Facies Diaphragmatica": ((0.68, 0.79), (0.14, 0.015)),
}


@cache
def study(number: int = 7) -> tuple[Dataset, StudyOutcome]:
    """The radiograph, with pixels, and what the node would make a report of."""
    image = shapes.dicom("PA", rows=SIDE, seed=3, features=("effusion",), marker="L", study=number)
    header = Dataset()
    header.update({element.tag: element for element in image if element.keyword != "PixelData"})
    frame = Frame(SIDE, SIDE, 0, 0, SIDE)
    maps = np.stack([_map(PEAKS.get(label)) for label in codes.findings()])
    analysis = Analysis(
        sop_instance_uid=str(image.SOPInstanceUID),
        model_set=MODELS,
        findings=tuple(
            Finding(label, SCORES.get(label, 0.12), 0.2, region(heat, frame) if label in PEAKS else ())
            for label, heat in zip(codes.findings(), maps, strict=True)
        ),
        structures=tuple(codes.structures()),
        masks=_masks(tuple(codes.structures())),
        frame=frame,
        reconstruction_error=41.0,
        embedding=np.zeros(512, np.float32),
        resampler="antialiased",
        ssim=0.91,
        maps=maps,
        picture=(image.pixel_array >> 4).astype(np.uint8),
    )
    decision = FrontalDecision(Verdict.FRONTAL, "PA", (as_is("View Position is PA."),))
    outcome = StudyOutcome(
        str(image.StudyInstanceUID),
        (ImageOutcome(header, decision, analysis),),
        MODELS,
        datetime(2026, 11, 20, 10, 30, tzinfo=UTC),
    )
    return image, outcome


def _masks(structures: Sequence[str]) -> np.ndarray:
    made = np.zeros((len(structures), 512, 512), np.uint8)
    for name, (centre, axes) in ELLIPSES.items():
        x, y, a, b = (round(512 * part) for part in (*centre, *axes))
        cv2.ellipse(made[structures.index(name)], (x, y), (a, b), 0, 0, 360, 1, cv2.FILLED)
    return made.astype(np.bool_)


def _map(peak: tuple[float, float] | None) -> np.ndarray:
    rows, columns = np.mgrid[0:7, 0:7]
    if peak is None:
        return np.zeros((7, 7), np.float32)
    return np.exp(-((rows - peak[0]) ** 2 + (columns - peak[1]) ** 2) / 2).astype(np.float32)
