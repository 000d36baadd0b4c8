"""A segmenter whose answer is known, and segmentations that a node makes of such masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from made import radiograph
from pydicom import Dataset
from validate_node import results

from xrv_node.lab.statistics.overlap import Overlap, packed
from xrv_node.lab.validate.read_images import PreparedImage
from xrv_node.models import catalog
from xrv_node.models.model import Segmenter
from xrv_node.report import codes
from xrv_node.values import DEFAULT_STYLE, Frame, Style

TARGETS = tuple(codes.structures())
STYLES = [Style(seg_geometry=g, seg_type=t) for g in ("nominal", "none") for t in ("binary", "labelmap")]
LABELMAP = Style(seg_type="labelmap")
SIDE = 512
SQUARE = Frame(SIDE, 640, 0, 64, SIDE)
"""Of pictures of 512 rows and 640 columns: no resampling changes it."""
AREAS = {  # in the segmenter's order
    "Left Lung": (slice(100, 400), slice(350, 450)),  # 30000 pixels
    "Right Lung": (slice(100, 400), slice(150, 250)),  # 30000 pixels
    "Heart": (slice(250, 400), slice(300, 400)),  # 15000 pixels, half of them over the left lung
}
"""In the square."""
MIDDLE = 300
"""Column of the square that parts the lungs."""


def masks(shift: int = 0, names: Sequence[str] = tuple(AREAS)) -> dict[str, np.ndarray]:
    """The structures in the square, the lungs some columns further to the right."""
    made = {}
    for name in names:
        made[name] = np.zeros((SIDE, SIDE), bool)
        made[name][AREAS[name]] = True
        if "Lung" in name:
            made[name] = np.roll(made[name], shift, axis=1)
    return made


def whole(mask: np.ndarray) -> np.ndarray:
    """A mask of the square in the picture."""
    made = np.zeros((SIDE, 640), bool)
    made[:, 64:576] = mask
    return made


class Answers(torch.nn.Module):
    """Its output is known: the lungs are where its input is bright, the heart is where `AREAS` has it."""

    size = SIDE

    def __init__(self) -> None:
        super().__init__()
        self.place = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = torch.full((len(x), len(TARGETS), SIDE, SIDE), -1.0)
        bright = torch.where(x[:, 0] > 0, 1.0, -1.0)
        logits[:, TARGETS.index("Right Lung"), :, :MIDDLE] = bright[:, :, :MIDDLE]
        logits[:, TARGETS.index("Left Lung"), :, MIDDLE:] = bright[:, :, MIDDLE:]
        logits[:, TARGETS.index("Heart"), *AREAS["Heart"]] = 1.0
        return logits


SEGMENTER = Segmenter(catalog.find("chestx_det"), Answers())


def prepared(square: Frame = SQUARE, truth: Mapping[str, np.ndarray] | None = None) -> PreparedImage:
    """An image that is bright where the lungs are, with masks of the dataset."""
    lungs = masks()["Left Lung"] | masks()["Right Lung"]
    inputs = {SIDE: np.where(lungs, 1024, -1024).astype(np.float32)}
    drawn = {name: packed(mask) for name, mask in (truth or {}).items()}
    return PreparedImage(3, inputs=inputs, structures=drawn, square=square)


def segmentation(
    found: Mapping[str, np.ndarray], style: Style = DEFAULT_STYLE, square: Frame = SQUARE
) -> Dataset:
    """What the node sends of these masks."""
    image = radiograph(Rows=square.rows, Columns=square.columns)
    (made,) = results(
        image, {}, style, ["seg"], structures=tuple(found), masks=np.stack(list(found.values())), frame=square
    )
    return made


def same(name: str) -> Overlap:
    return Overlap(name, 1.0, 1.0, 0, 0.0)


def cut(made: Dataset) -> None:
    made.PixelData = made.PixelData[: len(made.PixelData) // 2]
