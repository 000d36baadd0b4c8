"""Segmentations that came back from a node, beside the direct path's masks and the dataset's.

The node brings the networks' masks from their square to the image's own matrix and sends them so. What comes
back is compared there, pixel for pixel, with masks that went the same way without the wire.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from pydicom import Dataset

from xrv_node.lab.statistics.overlap import Mask, Overlap, overlap
from xrv_node.lab.validate.networks import segmented
from xrv_node.lab.validate.read_images import PreparedImage
from xrv_node.lab.validate.run_store import ReturnedSegmentation
from xrv_node.lab.validate.structures import StructureFigures, compare, placed
from xrv_node.models.model import Segmenter
from xrv_node.report import masks as report_masks
from xrv_node.report import read_back
from xrv_node.result_kinds import KINDS

SAME = 1e-4
"""Share of an image's pixels up to which two masks of a structure are the same one. It is 0 unless an output
of the segmenter is so near to its threshold that float32 in another batch or on another engine puts it on the
other side: then a pixel of the network's 512 x 512 changes (4e-6 of them), and the image's pixels below it.
"""
LABEL_MAP = KINDS["seg"].sop_classes[1]
NOT_READ = "The node's segmentation of the image cannot be read."
OTHER_SIZE = "The node's segmentation has other rows and columns than the image."


@dataclass(frozen=True, slots=True)
class OverlapFigures:
    """One structure's masks that came back beside the direct path's, over the images where either has one."""

    structure: str
    number: int
    """Images."""
    mean_dice: float
    least_dice: float
    mean_iou: float
    least_iou: float
    other: int
    """Images on which they differ at all."""
    differing: int
    """Pixels that only one of them has, of all images."""
    greatest_share: float
    """They, of the image's pixels, on the image where they are most."""


def added(figures: OverlapFigures | None, one: Overlap) -> OverlapFigures:
    """Return a structure's figures with one more image; None stands for those of none."""
    if figures is None:
        figures = OverlapFigures(
            structure=one.structure,
            number=0,
            mean_dice=0.0,
            least_dice=1.0,
            mean_iou=0.0,
            least_iou=1.0,
            other=0,
            differing=0,
            greatest_share=0.0,
        )
    number = figures.number + 1
    return OverlapFigures(
        structure=one.structure,
        number=number,
        mean_dice=figures.mean_dice + (one.dice - figures.mean_dice) / number,
        least_dice=min(figures.least_dice, one.dice),
        mean_iou=figures.mean_iou + (one.iou - figures.mean_iou) / number,
        least_iou=min(figures.least_iou, one.iou),
        other=figures.other + (one.differing > 0),
        differing=figures.differing + one.differing,
        greatest_share=max(figures.greatest_share, one.share),
    )


@dataclass(frozen=True, slots=True)
class ReturnedMasks:
    """All segmentations that came back beside the direct path."""

    compared: int
    """Images."""
    missing: int
    """Images with scores but without a segmentation."""
    not_compared: Mapping[str, int]
    """Images with a segmentation that was not compared, by the sentence that says why."""
    label_maps: int
    """Images whose segmentation keeps but one of structures that overlap."""
    overlaps: tuple[OverlapFigures, ...]
    structures: tuple[StructureFigures, ...]
    """What came back beside the dataset's masks."""
    direct: tuple[StructureFigures, ...]
    """The direct path's masks of the same images beside them."""
    greatest_dice: float | None
    """Greatest absolute difference of the two ways' Dice with the dataset's mask, of one image and structure;
    None where the dataset has no masks of these images."""
    greatest_iou: float | None
    """Of their IoU."""

    @property
    def words(self) -> str:
        """Whether that is what was to be expected, in sentences."""
        if not self.compared:
            return "No segmentation came back that could be compared."
        told = []
        if max((one.greatest_share for one in self.overlaps), default=0.0) > SAME:
            told.append(
                "The node's masks are not those of the direct path: look whether it runs the same segmenter, "
                "and with which engine."
            )
        else:
            told.append(
                "The node's masks are those of the direct path: on no image does a structure differ in more "
                f"than {SAME:.2%} of the pixels."
            )
        if gone := self.missing + sum(self.not_compared.values()):
            told.append(f"Images without a segmentation that could be compared: {gone}.")
        if self.label_maps:
            told.append(
                "The node sends label maps, which keep the smallest of structures that overlap: their Dice "
                "with the dataset's masks may differ from the direct path's."
            )
        return " ".join(told)


def compared(segmentation: Dataset, image: PreparedImage, segmenter: Segmenter) -> ReturnedSegmentation:
    """Compare one segmentation that came back.

    Parameters
    ----------
    segmentation
        A ``seg`` object of the node, in either encoding, with file meta information. What is damaged is said,
        never raised. A structure that it does not have is empty: the node sends no empty ones.
    image
        The image that it is of, with the segmenter's input and the dataset's masks, if it has any.
    segmenter
        That of the direct path.

    Raises
    ------
    XrvNodeError
        As ``networks.segmented``.
    """
    if image.square is None:
        return ReturnedSegmentation(image.row, image.why_not)
    size = image.square.rows, image.square.columns
    try:
        # before anything is as large as a damaged header says
        if (segmentation.Rows, segmentation.Columns) != size:
            return ReturnedSegmentation(image.row, OTHER_SIZE)
        _, names, stack = read_back.masks(segmentation)
        label_map = segmentation.SOPClassUID == LABEL_MAP
    except Exception:  # of a damaged object pydicom and highdicom raise errors without a class in common
        return ReturnedSegmentation(image.row, NOT_READ)
    (masks,) = segmented(segmenter, image.inputs[segmenter.size][np.newaxis, np.newaxis])
    if masks is None:
        return ReturnedSegmentation(image.row, "The segmenter gave no number for this image.")
    direct = placed(masks, image.square)
    if label_map:
        direct = _one_each(direct)
    nothing = np.zeros(size, dtype=np.bool_)
    back = {name: nothing for name in direct} | dict(zip(names, stack, strict=True))
    pairs = (overlap(name, mask, direct.get(name, nothing)) for name, mask in back.items())
    return ReturnedSegmentation(
        image.row,
        label_map=label_map,
        structures=compare(back, image.drawn),
        overlaps=tuple(pair for pair in pairs if pair is not None),
    )


def _one_each(masks: Mapping[str, Mask]) -> dict[str, Mask]:
    """The masks as a label map keeps them."""
    labels = report_masks.label_map(np.stack(list(masks.values())))
    return {name: labels == number for number, name in enumerate(masks, 1)}
