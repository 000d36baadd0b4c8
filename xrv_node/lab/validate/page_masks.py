"""The page's part on segmentations that came back from a node."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from xrv_node.lab.validate.markup import fields, figure_of, note, number, plain, table

if TYPE_CHECKING:
    from xrv_node.lab.validate.returned_masks import ReturnedMasks


def returned(masks: ReturnedMasks) -> str:
    """Return what came back beside the direct path's masks, and both beside the dataset's."""
    not_compared = "; ".join(f"{count}: {reason}" for reason, count in masks.not_compared.items())
    direct = {one.structure: one for one in masks.direct}
    truths = [
        (
            plain(one.structure),
            str(one.number),
            *map(figure_of, (one.mean_dice, one.mean_iou)),
            *map(figure_of, (direct[one.structure].mean_dice, direct[one.structure].mean_iou)),
        )
        for one in masks.structures
        if one.structure in direct
    ]
    overlaps = [
        (
            plain(one.structure),
            str(one.number),
            f"{one.mean_dice:.5f}",
            f"{one.least_dice:.5f}",
            f"{one.mean_iou:.5f}",
            f"{one.least_iou:.5f}",
            str(one.other),
            str(one.differing),
            f"{one.greatest_share:.1e}",
        )
        for one in masks.overlaps
    ]
    head = ("Structure", "Images", "Dice, mean", "least", "IoU, mean", "least", "Images that differ")
    return (
        f"<h3>Segmentations that came back</h3><p>{escape(masks.words)}</p>"
        + fields(
            [
                ("Images that were compared", str(masks.compared)),
                ("With scores, but without a segmentation", str(masks.missing)),
                ("With a segmentation that was not compared", escape(not_compared or "none")),
                ("Greatest difference of a Dice with the dataset's mask", number(masks.greatest_dice, ".1e")),
                ("Greatest difference of an IoU", number(masks.greatest_iou, ".1e")),
            ]
        )
        + (
            table(
                ("Structure", "Images", "Dice through the node", "IoU", "Dice of the direct path", "IoU"),
                truths,
            )
            + note("Means over the images of which a segmentation was compared, beside the dataset's masks.")
            if truths
            else ""
        )
        + table((*head, "Pixels that differ", "Greatest share of an image"), overlaps)
        + note(
            "Masks that came back beside the direct path's, pixel for pixel in the image's own matrix, of a "
            "label map as that encoding keeps them. They are the same unless an output of the segmenter is "
            "so near to its threshold that rounding in another batch or engine puts it on the other side."
        )
    )
