"""Images to train on, made as they are asked for, by this process or by others: no torch here.

What an image is depends on its origin and number alone, so that whoever draws it, and when, changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from xrv_node.lab.train.steps.plan import Kind
from xrv_node.lab.validate.reader_processes import each

CELL = 4
"""Pixels a side of a cell of the maps that a classifier gives (``pyramid``: a quarter of the input)."""
COVERED = 0.2
"""Share of a cell from which a finding is in it: that of a fracture's line across it."""
AUXILIARY = ("Left Lung", "Right Lung", "Heart")
"""Structures that a classifier learns beside the findings, so that it knows where it is."""

Example = dict[str, NDArray[np.generic]]
"""One image with its truth, by the names that `KEPT` gives."""


class Drawn(Protocol):
    """One image with its truth, as ``phantom.stream.Sample``."""

    @property
    def image(self) -> NDArray[np.float32]:
        """``[size, size]`` in [-1024, 1024]."""

    @property
    def findings(self) -> NDArray[np.float32]:
        """``[findings]``: 1 present, 0 absent, NaN unknown."""

    @property
    def places(self) -> NDArray[np.bool_]:
        """``[findings, size, size]``: where each is."""

    @property
    def masks(self) -> NDArray[np.bool_]:
        """``[structures, size, size]``."""


class Sampler(Protocol):
    """What draws or reads images."""

    def sample(self, number: int) -> Drawn:
        """Return the image of a number, from 0 on: always the same one."""


class Origin(Hashable, Protocol):
    """Where images come from: a value that other processes get."""

    @property
    def findings(self) -> tuple[str, ...]:
        """Names of the findings that its samples tell of."""

    @property
    def structures(self) -> tuple[str, ...]:
        """Names of its samples' masks."""

    def open(self) -> Sampler:
        """Make ready to draw; once in each process, and it may take minutes."""


def _image(drawn: Drawn) -> NDArray[np.float16]:
    return drawn.image.astype(np.float16)  # 11 bits: as fine as the grey scale of a monitor at its ends


def cells(masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return in which cells masks are: ``[n, H, W]`` to ``[n, H / 4, W / 4]``."""
    count, rows, columns = masks.shape
    blocks = masks.reshape(count, rows // CELL, CELL, columns // CELL, CELL)
    there: NDArray[np.bool_] = blocks.mean(axis=(2, 4), dtype=np.float32) >= COVERED
    return there


def _for_classifier(origin: Origin, drawn: Drawn) -> Example:
    beside = drawn.masks[[origin.structures.index(name) for name in AUXILIARY]]
    return {
        "image": _image(drawn),
        "findings": drawn.findings.astype(np.float32),
        "places": cells(drawn.places),
        "beside": cells(beside),
    }


def _for_segmenter(_: Origin, drawn: Drawn) -> Example:
    return {"image": _image(drawn), "masks": np.packbits(drawn.masks, axis=-1)}


def _for_autoencoder(_: Origin, drawn: Drawn) -> Example:
    return {"image": _image(drawn)}


KEPT: dict[Kind, Callable[[Origin, Drawn], Example]] = {
    "classifier": _for_classifier,
    "segmenter": _for_segmenter,
    "autoencoder": _for_autoencoder,
}
"""By kind of network: what of an image travels and is kept, as small as it can be."""


@dataclass(frozen=True, slots=True)
class Order:
    """Images to be made together."""

    origin: Origin
    kind: Kind
    first: int
    last: int
    """The first number that is not wanted."""


@lru_cache(maxsize=1)
def _sampler(origin: Origin) -> Sampler:
    return origin.open()


def fill(order: Order) -> list[Example]:
    """Make the images of an order."""
    sampler, keep = _sampler(order.origin), KEPT[order.kind]
    return [keep(order.origin, sampler.sample(number)) for number in range(order.first, order.last)]


def filled(orders: Iterable[Order], processes: int) -> Iterator[list[Example]]:
    """Make the images of orders one after the other.

    Parameters
    ----------
    orders
        Of any number.
    processes
        That make them beside this one, some orders ahead; 0: this one makes them.
    """
    return each(fill, orders, processes) if processes else map(fill, orders)


def drawn(origin: Origin, kind: Kind, count: int, processes: int, together: int = 10) -> list[Example]:
    """Make the images 0 to `count` of an origin."""
    orders = (Order(origin, kind, first, min(first + together, count)) for first in range(0, count, together))
    return [example for some in filled(orders, processes) for example in some]
