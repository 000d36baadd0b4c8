"""Where images come from: phantoms, or the images and outlines of datasets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xrv_node.errors import DatasetError, ImageError
from xrv_node.lab.train.steps.plan import Phantoms, Plan

if TYPE_CHECKING:
    from xrv_node.lab.datasets.torch_dataset import Images
    from xrv_node.lab.train.steps.drawing import Origin, Sampler


class _OfPhantoms:
    """What all phantoms tell of."""

    @property
    def findings(self) -> tuple[str, ...]:
        """Those that can be drawn."""
        from xrv_node.phantom.findings import DRAWABLE

        return DRAWABLE

    @property
    def structures(self) -> tuple[str, ...]:
        """Those that are outlined."""
        from xrv_node.phantom.structures import STRUCTURES

        return STRUCTURES


@dataclass(frozen=True, slots=True)
class PhantomOrigin(_OfPhantoms):
    """Phantoms, as ``phantom.stream.Stream`` draws them; the fields are its arguments."""

    anatomy: str
    poses: int
    size: int
    seed: int
    wide: float
    conspicuity: float
    varied: float = 1.0

    def open(self) -> Sampler:
        """Project the poses, which takes a second or two each."""
        from xrv_node.phantom.stream import Stream

        return Stream(
            anatomy=self.anatomy,
            poses=self.poses,
            size=self.size,
            seed=self.seed,
            wide=self.wide,
            conspicuity=self.conspicuity,
            varied=self.varied,
        )


@dataclass(frozen=True, slots=True)
class RadiographOrigin(_OfPhantoms):
    """Phantoms as a node gets them: whole radiographs with letters and the mark, brought to size by it."""

    anatomy: str
    poses: int
    size: int
    seed: int
    rows: int = 512

    def open(self) -> Sampler:
        """Nothing is made ready."""
        return _Radiographs(self)


class _Radiographs:
    def __init__(self, origin: RadiographOrigin) -> None:
        self._origin = origin

    def sample(self, number: int) -> Read:
        from xrv_node.phantom.findings import choose
        from xrv_node.phantom.phantom import WHITE, make
        from xrv_node.radiograph.image import Radiograph
        from xrv_node.radiograph.prepare import prepare

        origin = self._origin
        dice = np.random.default_rng((origin.seed, 2, number))
        made = make(
            int(dice.integers(2**31)),
            view="AP" if number % 4 == 3 else "PA",
            findings=choose(dice),
            rows=origin.rows,
            anatomy=origin.anatomy,
            person=origin.seed + number % origin.poses,
        )
        empty = np.zeros((origin.rows, origin.rows), np.bool_)
        places = [made.places[n].mask if n in made.places else empty for n in origin.findings]
        return Read(
            prepare(Radiograph(made.pixels, 0, WHITE), origin.size),
            np.array([made.findings[name] for name in origin.findings], np.float32),
            _smaller(np.stack(places), origin.size),
            _smaller(np.stack([made.masks[name] for name in origin.structures]), origin.size),
        )


def _smaller(masks: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    """Bring masks ``[n, rows, rows]`` to ``[n, size, size]``: pixels that are covered at least by half."""
    import cv2

    small = [cv2.resize(m.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA) for m in masks]
    return np.stack(small) >= 0.5


@dataclass(frozen=True, slots=True)
class Read:
    """An image with its outlines, that was not drawn in the size of the network."""

    image: NDArray[np.float32]
    findings: NDArray[np.float32]
    places: NDArray[np.bool_]
    masks: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class DatasetOrigin:
    """Images of datasets, and of each the outlines of its structures.

    Each is opened by its name and folder, in each process: a table is large, and a name is not.
    """

    datasets: tuple[tuple[str, str], ...]
    """Names, as ``datasets list`` gives them, and folders."""
    views: tuple[str, ...] | None
    structures: tuple[str, ...]
    part: str
    """``train``, ``valid`` or ``test``."""
    plan: Plan
    findings: tuple[str, ...] = ()

    def open(self) -> Sampler:
        """Read the tables.

        Raises
        ------
        DatasetError
            They cannot be read, or no image has the structures.
        """
        return _Reader(self)


class _Reader:
    """Gives out the images of a part, in an order of each round."""

    def __init__(self, origin: DatasetOrigin) -> None:
        from xrv_node.lab.datasets.augment import Augmentation
        from xrv_node.lab.datasets.load import load
        from xrv_node.lab.datasets.torch_dataset import Images
        from xrv_node.lab.datasets.transforms import Fit
        from xrv_node.lab.train.splits import split

        plan, self._origin = origin.plan, origin
        moves = (
            Augmentation(plan.rotation, plan.translation, plan.scaling) if origin.part == "train" else None
        )
        self._images: list[tuple[Images, int]] = []
        for name, folder in origin.datasets:
            table = load(name, Path(folder), views=origin.views, unique_patients=False)
            rows = getattr(split(table, 0.1, 0.2, plan.seed), origin.part)
            if origin.structures:
                rows = [row for row in rows if _has(table[int(row)].regions, origin.structures)]
            one = Images(table, Fit(plan.size), moves, semantic_masks=bool(origin.structures))
            self._images += [(one, int(row)) for row in rows]
        if not self._images:
            what = f"the outlines of {', '.join(origin.structures)}" if origin.structures else "an image"
            names = ", ".join(name for name, _ in origin.datasets)
            raise DatasetError(f"{names} has nothing in its {origin.part} part with {what}: take another one")

    def sample(self, number: int) -> Read:
        """Read an image; one that cannot be read gives way to the next.

        Raises
        ------
        DatasetError
            None of ten can be read.
        """
        trouble: ImageError | None = None
        for tried in range(min(10, len(self._images))):
            at = number + tried
            epoch, place = divmod(at, len(self._images))
            order = np.random.default_rng((self._origin.plan.seed, epoch)).permutation(len(self._images))
            images, row = self._images[order[place]]
            try:
                example = replace(images, seed=epoch)[row]
            except ImageError as error:
                trouble = error
                continue
            drawn = example.get("semantic_masks", {})
            size = self._origin.plan.size
            empty = np.zeros((1, size, size), np.float32)
            masks = [drawn.get(name, empty)[0] >= 0.5 for name in self._origin.structures]
            none = np.empty(0, np.float32)
            found = np.stack(masks) if masks else np.empty((0, size, size), np.bool_)
            return Read(example["img"][0], none, np.empty((0, size, size), np.bool_), found)
        raise DatasetError(f"ten images one after the other cannot be read, the last one so: {trouble}")


def _has(regions: object, structures: tuple[str, ...]) -> bool:
    """Whether an image has the outline of any structure."""
    return any(region.semantic and region.name in structures for region in regions)  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Origins:
    """All images of a training."""

    train: Origin
    watched: Origin
    """Shown now and then how the training goes."""
    chosen_on: Origin
    """For operating points."""
    measured_on: tuple[tuple[str, Origin, int], ...]
    """What a column of figures is called, its images, and how many of them."""


def of_phantoms(plan: Plan) -> Origins:
    """Return the phantoms of a plan: other seeds, and so other poses, for each use.

    Raises
    ------
    ConfigError
        An anatomy that there is not.
    """
    from xrv_node.phantom import template

    told, rows = plan.phantoms or Phantoms(), plan.measured
    for name in {told.anatomy, *rows.anatomies}:
        template.load(name)  # rather now than after an hour
    train = PhantomOrigin(
        told.anatomy, told.poses, plan.size, plan.seed, told.wide, told.conspicuity, told.varied
    )
    fresh = replace(train, anatomy=rows.anatomies[0], poses=rows.poses, wide=0.0, conspicuity=1.0, varied=1.0)
    watched = replace(fresh, seed=plan.seed + 1)
    # images that vary as those of training: among others nothing is near an operating point
    chosen_on = replace(train, anatomy=rows.anatomies[0], poses=rows.poses, wide=1.0, seed=plan.seed + 2)
    measured: list[tuple[str, Origin, int]] = [
        (anatomy, replace(fresh, anatomy=anatomy, seed=plan.seed + 3 + number), rows.images)
        for number, anatomy in enumerate(rows.anatomies)
    ]
    if rows.faint != 1 and plan.kind == "classifier":
        name = f"{rows.anatomies[-1]} x {rows.faint:g}"
        faint = replace(fresh, anatomy=rows.anatomies[-1], seed=plan.seed + 99, conspicuity=rows.faint)
        measured.append((name, faint, rows.images))
    poses = min(8, rows.poses)
    for number, anatomy in enumerate(rows.anatomies if rows.as_read else ()):
        read = RadiographOrigin(anatomy, poses, plan.size, plan.seed + 50 + number)
        measured.append((f"{anatomy} as read", read, rows.as_read))
    return Origins(train, replace(watched, poses=poses), chosen_on, tuple(measured))


def of_datasets(plan: Plan, datasets: list[tuple[str, str]], views: tuple[str, ...] | None) -> Origins:
    """Return the images of datasets, divided by patients."""
    train, valid, test = (
        DatasetOrigin(tuple(datasets), views, plan.labels, part, plan) for part in ("train", "valid", "test")
    )
    return Origins(train, valid, valid, (("test", test, plan.measured.images),))
