"""Generated radiograph headers and outcomes for the tests of the report room. No real patient is in them."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid

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

SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "data"
SOP_CLASS = {
    "DX": "1.2.840.10008.5.1.4.1.1.1.1",
    "CR": "1.2.840.10008.5.1.4.1.1.1",
    "OT": "1.2.840.10008.5.1.4.1.1.7",
}
LABELS = tuple(codes.findings())
STRUCTURES = tuple(codes.structures())
CLOSED_AT = datetime(2026, 11, 20, 10, 30, 5, 123456, tzinfo=UTC)


def model_set(phantom: bool = False) -> ModelSet:
    return ModelSet(
        ModelIdentity("classifier", "densenet121-res224-all", "a" * 64),
        ModelIdentity("segmenter", "chestx_det", "b" * 64),
        ModelIdentity("autoencoder", "101-elastic", "c" * 64),
        phantom,
    )


def uid(*parts: object) -> str:
    return generate_uid(
        prefix="1.2.826.0.1.3680043.8.498.", entropy_srcs=["xrv-node tests", *map(str, parts)]
    )


def header(kind: str = "DX", number: int = 1, rows: int = 120, columns: int = 96, **changes: Any) -> Dataset:
    """A radiograph's header; a change of None takes the attribute out."""
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 100"
    made.SOPClassUID, made.SOPInstanceUID = SOP_CLASS[kind], uid("image", number)
    made.StudyInstanceUID, made.SeriesInstanceUID = uid("study"), uid("series", number)
    made.Modality, made.SeriesNumber, made.InstanceNumber = kind, number, 1
    made.PatientName, made.PatientID, made.PatientBirthDate, made.PatientSex = (
        "Muster^Maria",
        "P-0815",
        "19580101",
        "F",
    )
    made.PatientAge = "068Y"
    made.StudyDate, made.StudyTime, made.StudyID, made.AccessionNumber = "20261120", "101500", "S1", "A1"
    made.ReferringPhysicianName, made.StudyDescription = "Refer^Rita", "Chest PA"
    made.BodyPartExamined, made.ViewPosition, made.PatientOrientation = "CHEST", "PA", ["L", "F"]
    made.PhotometricInterpretation, made.Rows, made.Columns = "MONOCHROME2", rows, columns
    made.ImagerPixelSpacing = [
        f"{336 / columns:g}"
    ] * 2  # mm: the chest of `chest` is one that a person can have
    for keyword, value in changes.items():
        if value is not None:
            setattr(made, keyword, value)
        elif keyword in made:
            delattr(made, keyword)
    return made


def disk(n: int, row: float, column: float, radius: float) -> np.ndarray:
    y, x = np.mgrid[0:n, 0:n]
    return (y - row) ** 2 + (x - column) ** 2 <= radius**2


def masks(n: int = 64, empty: tuple[str, ...] = ()) -> np.ndarray:
    """One disk for each structure, at different places, some overlapping; a lung's where `polygon` is."""
    made = np.zeros((len(STRUCTURES), n, n), dtype=bool)
    for k, name in enumerate(STRUCTURES):
        if name not in empty:
            made[k] = disk(n, n * (0.2 + 0.6 * (k % 4) / 3), n * (0.2 + 0.6 * (k // 4) / 3), n * 0.13)
    if "Right Lung" not in empty:
        made[STRUCTURES.index("Right Lung")] = disk(n, n * 0.75, n * 0.35, n * 0.2)
    return made


def chest(n: int = 128) -> np.ndarray:
    """Two lungs with a heart between them as on a radiograph in the usual way, the patient's left on the right."""
    made = np.zeros((len(STRUCTURES), n, n), dtype=bool)
    for name, row, column, height, width in (
        ("Left Lung", 0.5, 0.72, 0.34, 0.17),
        ("Right Lung", 0.48, 0.28, 0.36, 0.18),
        ("Heart", 0.65, 0.55, 0.13, 0.16),
    ):
        y, x = (np.mgrid[0:n, 0:n] + 0.5) / n
        made[STRUCTURES.index(name)] = ((y - row) / height) ** 2 + ((x - column) / width) ** 2 <= 1
    return made


def covered() -> np.ndarray:
    """Every structure everywhere: any region lies over its organ, on no side."""
    return np.ones((len(STRUCTURES), 64, 64), dtype=bool)


def polygon(columns: int, rows: int) -> tuple[tuple[float, float], ...]:
    """Not symmetric in any way, so that a flip or a swap of rows and columns shows."""
    a, b = columns / 10, rows / 10
    return ((2 * a, 6 * b), (4 * a, 5.5 * b), (5 * a, 8 * b), (2.5 * a, 9 * b), (2 * a, 6 * b))


def maps() -> np.ndarray:
    """For each finding one peak, each at another place."""
    made = np.zeros((len(LABELS), 7, 7), dtype=np.float32)
    for k in range(len(LABELS)):
        made[k, k // 3 + 1, k % 7] = 2.5
    return made


def picture(rows: int, columns: int) -> np.ndarray:
    y, x = np.mgrid[0:rows, 0:columns]
    return (100 + 60 * np.sin(y / 17) * np.cos(x / 11)).astype(np.uint8)


def analysis(
    head: Dataset, models: ModelSet, scores: dict[str, float], seg: np.ndarray | None = None
) -> Analysis:
    rows, columns = int(head.Rows), int(head.Columns)
    side = min(rows, columns)
    return Analysis(
        sop_instance_uid=str(head.SOPInstanceUID),
        model_set=models,
        findings=tuple(
            Finding(
                label,
                scores.get(label, 0.1),
                0.2,
                polygon(columns, rows) if scores.get(label, 0) >= 0.5 else (),
            )
            for label in LABELS
        ),
        structures=STRUCTURES,
        masks=masks() if seg is None else seg,
        frame=Frame(rows, columns, (rows - side) // 2, (columns - side) // 2, side),
        reconstruction_error=123.456,
        embedding=np.zeros(512, dtype=np.float32),
        resampler="linear, antialiased",
        ssim=0.8125,
        maps=maps(),
        picture=picture(rows, columns),
    )


FRONTAL = FrontalDecision(Verdict.FRONTAL, "PA", (as_is("View Position is PA."),))
LATERAL = FrontalDecision(Verdict.LATERAL, "LL", (as_is("View Position is LL."),))
SOME = {"Effusion": 0.8231, "Cardiomegaly": 0.6125}


def frontal(
    head: Dataset, models: ModelSet | None = None, scores: dict[str, float] | None = None, **kw: Any
) -> ImageOutcome:
    models = models or model_set()
    return ImageOutcome(head, FRONTAL, analysis(head, models, SOME if scores is None else scores, **kw))


def outcome(*images: ImageOutcome, models: ModelSet | None = None, **changes: Any) -> StudyOutcome:
    kw: dict[str, Any] = {"closed_at": CLOSED_AT, **changes}
    return StudyOutcome(uid("study"), images, models or model_set(), **kw)


def tool(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a validator; skip where it is not installed."""
    if shutil.which(str(command[0])) is None:
        pytest.skip(f"{command[0]} is not installed")
    return subprocess.run(
        [str(c) for c in command], capture_output=True, text=True, errors="replace", check=False
    )
