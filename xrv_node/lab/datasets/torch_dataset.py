"""A table's rows with their images, as torchxrayvision's datasets give them to a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NotRequired, TypedDict, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, default_collate
from torch.utils.data._utils.collate import default_collate_fn_map

from xrv_node import reasons
from xrv_node.errors import ImageError
from xrv_node.lab.datasets.augment import Augmentation, Move, drawn, moved
from xrv_node.lab.datasets.images import caution, open_image, tell_once
from xrv_node.lab.datasets.masks import pathology_masks, semantic_masks
from xrv_node.lab.datasets.table import LabelTable
from xrv_node.lab.datasets.transforms import Fit
from xrv_node.reasons import Reason

AS_STORED = Fit(crop=False)
"""Images in their own size."""


Key = TypeVar("Key", int, str)


class Masks(dict[Key, NDArray[np.float32]]):
    """Masks of one image: ``[1, rows, columns]`` in [0, 1] each; an image has those that were drawn in it.

    A ``DataLoader`` makes of those of a batch a dictionary of ``[batch, 1, rows, columns]``, with zeros where
    an image lacks a mask that another one has. (That does not say that nothing is there: ``lab`` does.)
    """


def _batched(masks: Sequence[Masks[Any]], **_: Any) -> Mapping[Any, Tensor]:
    drawn_ones = {key: mask for one in masks for key, mask in one.items()}
    return {
        key: default_collate([one.get(key, np.zeros_like(like)) for one in masks])
        for key, like in sorted(drawn_ones.items())
    }


default_collate_fn_map[Masks] = _batched  # torch's own way to teach its DataLoader a type (`default_collate`)


class Example(TypedDict):
    """One image with what is known of it; the keys are torchxrayvision's."""

    idx: int
    """Position of the row."""
    lab: NDArray[np.float32]
    """``[len(pathologies)]``, 1 present, 0 absent, NaN unknown."""
    img: NDArray[np.float32]
    """``[1, rows, columns]`` in [-1024, 1024]."""
    pathology_masks: NotRequired[Masks[int]]
    """By position in ``pathologies``; none for labels without regions."""
    semantic_masks: NotRequired[Masks[str]]
    """By the structure's name."""


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
        tell_once(caution(item.image, radiograph))
        image, size = self.fit.image(radiograph), (radiograph.rows, radiograph.columns)
        sample = Example(idx=item.idx, lab=item.lab.copy(), img=image)
        fitted = partial(self.fit.mask, aspect=radiograph.aspect)
        if self.pathology_masks:
            found = pathology_masks(self.table, item, size)
            sample["pathology_masks"] = Masks({at: fitted(mask) for at, mask in found.items()})
        if self.semantic_masks:
            drawn_in = semantic_masks(self.table, item, size)
            sample["semantic_masks"] = Masks({name: fitted(mask) for name, mask in drawn_in.items()})
        return sample if self.augmentation is None else self._moved(sample, self.augmentation)

    def _moved(self, sample: Example, augmentation: Augmentation) -> Example:
        (seed,) = np.random.SeedSequence((self.seed, sample["idx"])).generate_state(1)
        move = drawn(augmentation, int(seed), *sample["img"].shape[1:])
        sample["img"] = moved(sample["img"], move)
        if "pathology_masks" in sample:
            sample["pathology_masks"] = _all_moved(sample["pathology_masks"], move)
        if "semantic_masks" in sample:
            sample["semantic_masks"] = _all_moved(sample["semantic_masks"], move)
        return sample


def _all_moved(masks: Masks[Key], move: Move) -> Masks[Key]:
    return Masks({key: moved(mask, move) for key, mask in masks.items()})
