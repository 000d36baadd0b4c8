"""The segmentations of a case beside the masks that are true."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from xrv_node.acceptance.alignment import dice, displacement
from xrv_node.acceptance.arrived import ArrivedObject
from xrv_node.acceptance.expected import COMPARED, ExpectedImage
from xrv_node.acceptance.row import Check, Overlap, counted

LEAST_DICE = 0.85
"""Of each of `COMPARED`, on each image. The set's segmenter reaches 0.9 and more on phantoms that it was
not trained on; a second reader's masks have 0.97 of lungs and 0.94 of hearts (Jaccard 0.946 and 0.878: van
Ginneken, Stegmann, Loog 2006, Med. Image Anal. 10:19-40)."""
FARTHEST = 1 / 128
"""How far outlines may lie off the image's, of its longer side: a pixel or two of what the segmenter sees,
8 of 1024. The grid itself, rows and columns, must be the image's to the pixel."""


def grid(answered: Iterable[ExpectedImage], objects: Sequence[ArrivedObject]) -> Check:
    """See that each image has a segmentation, of its rows and columns."""
    off = []
    for image in answered:
        sizes = {one.size for one in objects if one.size is not None and image.instance in one.images}
        wanted = (image.rows, image.columns)
        off += ["no segmentation"] if not sizes else []
        off += [
            f"{size[0]} x {size[1]} for {image.rows} x {image.columns}"
            for size in sorted(sizes)
            if size != wanted
        ]
    return Check("grid", not off, counted(off) or "rows and columns of the image")


def _on_its_grid(image: ExpectedImage, objects: Iterable[ArrivedObject]) -> list[ArrivedObject]:
    """The segmentations whose masks can be laid over the image's."""
    size = image.rows, image.columns
    return [one for one in objects if one.size == size and image.instance in one.images]


def overlaps(image: ExpectedImage, objects: Iterable[ArrivedObject]) -> Iterator[Overlap]:
    """Compare every mask that there is truth of; one that did not arrive overlaps with nothing."""
    for found in [one.masks for one in _on_its_grid(image, objects)] or [{}]:
        for name, truth in image.masks.items():
            mask = found.get(name)
            yield Overlap(image.instance, name, 0.0 if mask is None else dice(truth, mask))


def alike(found: Sequence[Overlap]) -> Check:
    """See that the least overlap is enough."""
    worst = min(found, key=lambda one: one.dice, default=None)
    says = f"least Dice {worst.dice:.3f}, {worst.structure}" if worst else "no mask to compare"
    return Check("masks", worst is not None and worst.dice >= LEAST_DICE, says)


def in_place(answered: Iterable[ExpectedImage], objects: Sequence[ArrivedObject]) -> Check:
    """See that the outlines lie where they are in the image, whatever their overlap."""
    off = []
    for image in answered:
        most = max(image.rows, image.columns) * FARTHEST
        for found in [one.masks for one in _on_its_grid(image, objects)] or [{}]:
            apart = displacement(
                (image.masks[n], found[n]) for n in COMPARED if n in image.masks.keys() & found
            )
            if apart is None:
                off.append("no outlines to compare")
            elif max(map(abs, apart)) > most:
                off.append(f"off by {apart[0]:+.0f} rows, {apart[1]:+.0f} columns")
    return Check("place", not off, counted(off) or "outlines where they are in the image")
