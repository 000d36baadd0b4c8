"""A table's rows with their images, as torchxrayvision's datasets give them to a network."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from xrv_node import reasons
from xrv_node.errors import ImageError
from xrv_node.lab.datasets.augment import Augmentation, drawn, moved
from xrv_node.lab.datasets.images import open_image
from xrv_node.lab.datasets.masks import pathology_masks, semantic_masks
from xrv_node.lab.datasets.table import LabelTable
from xrv_node.lab.datasets.transforms import Fit
from xrv_node.reasons import Reason

AS_STORED = Fit(crop=False)
"""Images in their own size."""


class Example(TypedDict):
    """One image with what is known of it; the keys are torchxrayvision's."""

    idx: int
    """Position of the row."""
    lab: NDArray[np.float32]
    """``[len(pathologies)]``, 1 present, 0 absent, NaN unknown."""
    img: NDArray[np.float32]
    """``[1, rows, columns]`` in [-1024, 1024]."""
    pathology_masks: NotRequired[dict[int, NDArray[np.float32]]]
    """By position in ``pathologies``: ``[1, rows, columns]`` in [0, 1]; none for labels without regions."""
    semantic_masks: NotRequired[dict[str, NDArray[np.float32]]]
    """By the structure's name, likewise."""


@dataclass(frozen=True, eq=False)
class Images(Dataset[Example]):
    """The images of a table, opened when they are asked for; for a ``torch.utils.data.DataLoader``.

    It keeps no state: the same fields give the same items, in any order and any process. For other movements
    in the next epoch take ``dataclasses.replace(images, seed=epoch)``.
    """

    table: LabelTable
    fit: Fit = AS_STORED
    """torchxrayvision's ``transform``; the default leaves images as large as they are."""
    augmentation: Augmentation | None = None
    """Its ``data_aug``; the same movement for an image and its masks."""
    seed: int = 0
    """Of the movements, at least 0; each row has its own."""
    pathology_masks: bool = False
    semantic_masks: bool = False

    def __len__(self) -> int:
        """Return how many images there are."""
        return len(self.table)

    def __getitem__(self, index: int) -> Example:
        """Open one image.

        Raises
        ------
        IndexError
            There is no such row.
        ImageError
            It, or a mask's file, is not there or cannot be decoded; the sentence names the file.
        DatasetError
            The owner's file has an outline that is none.
        ConfigError
            No resampler has the name that ``fit`` says.
        """
        item = self.table[index]
        try:
            radiograph = open_image(item.image)
        except ImageError as error:
            raise ImageError(Reason("file-trouble", file=str(item.image), why=reasons.of(error))) from error
        image, size = self.fit.image(radiograph), (radiograph.rows, radiograph.columns)
        sample = Example(idx=item.idx, lab=item.lab.copy(), img=image)
        fitted = partial(self.fit.mask, aspect=radiograph.aspect)
        if self.pathology_masks:
            found = pathology_masks(self.table, item, size)
            sample["pathology_masks"] = {at: fitted(mask) for at, mask in found.items()}
        if self.semantic_masks:
            drawn_in = semantic_masks(self.table, item, size)
            sample["semantic_masks"] = {name: fitted(mask) for name, mask in drawn_in.items()}
        return sample if self.augmentation is None else self._moved(sample, self.augmentation)

    def _moved(self, sample: Example, augmentation: Augmentation) -> Example:
        (seed,) = np.random.SeedSequence((self.seed, sample["idx"])).generate_state(1)
        move = drawn(augmentation, int(seed), *sample["img"].shape[1:])
        sample["img"] = moved(sample["img"], move)
        if "pathology_masks" in sample:
            sample["pathology_masks"] = {k: moved(m, move) for k, m in sample["pathology_masks"].items()}
        if "semantic_masks" in sample:
            sample["semantic_masks"] = {k: moved(m, move) for k, m in sample["semantic_masks"].items()}
        return sample
