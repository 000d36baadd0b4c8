"""Pictures and DICOM files that the tests of this room look at."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from made import radiograph


def draw(path: Path, seed: int = 0, rows: int = 260, columns: int = 220) -> Path:
    """Something of a chest, as PNG or JPEG."""
    rng = np.random.default_rng(seed)
    picture = np.full((rows, columns), 170, np.uint8)
    for side in (0.3, 0.7):
        centre = (int(columns * side), int(rows * 0.45))
        cv2.ellipse(picture, centre, (columns // 7, rows // 4), 0, 0, 360, 50 + seed, -1)
    noisy = cv2.GaussianBlur(picture, (0, 0), 3) + rng.normal(0, 4, picture.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.clip(noisy, 0, 255).astype(np.uint8))
    return path


def dicom(path: Path, **attributes: object) -> Path:
    """A small CR."""
    path.parent.mkdir(parents=True, exist_ok=True)
    radiograph(**attributes).save_as(path, enforce_file_format=True)
    return path
