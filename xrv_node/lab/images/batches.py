"""Files through one network, in batches: what the five tasks share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

from xrv_node.errors import ConfigError
from xrv_node.lab.images.files import READERS, Opened, Paths, Unread, listed, opened
from xrv_node.models import get_model, phantom_stand_in
from xrv_node.radiograph import resample
from xrv_node.radiograph.prepare import DEFAULT
from xrv_node.values import PHANTOM_WORDS, ModelIdentity

if TYPE_CHECKING:
    from torch import Tensor

    from xrv_node.models.model import Model

Progress = Callable[[int, int], None]
"""Is told how many files are done, and of how many."""
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Provenance:
    """What made a result."""

    model: ModelIdentity
    phantom: bool
    """It is a network for phantoms: nothing that comes out is about a patient."""
    resampler: str
    """How the pixels were brought to the network's size; it moves scores (say so with the result)."""

    @property
    def notice(self) -> str:
        """What has to stand on the result; empty for a network for patients."""
        return PHANTOM_WORDS if self.phantom else ""


class Options(TypedDict, total=False):
    """How files go through a network, as every task's function is told: the fields of `How`."""

    directory: Path | str | None
    device: str
    batch: int
    resampler: str
    commissioning: bool
    progress: Progress | None
    max_value: float | None
    passed_over: list[Path] | None


@dataclass(frozen=True, slots=True)
class How:
    """How files go through a network."""

    directory: Path | str | None = None
    """The model directory; None for the configured one."""
    device: str = "cpu"
    """``cpu``, ``cuda``, ``cuda:N``, ``mps`` or ``auto``."""
    batch: int = 8
    """Images at a time, at least 1."""
    resampler: str = DEFAULT
    """A name of ``resample.RESAMPLERS``."""
    commissioning: bool = False
    """Run the network for phantoms of the same kind; it answers for nothing else."""
    progress: Progress | None = None
    """Told after each batch."""
    max_value: float | None = None
    """Of PNG and JPEG pictures, the value that would be white; None: the largest of their 8 or 16 bits."""
    passed_over: list[Path] | None = None
    """Is given the files in folders that are plainly no images."""

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise ConfigError(f"a batch of {self.batch} images is none: use 1 or more")
        if self.max_value is not None and not 0 < self.max_value < math.inf:
            raise ConfigError(f"{self.max_value:g} is no largest value of a picture: use one above 0")
        resample.find(self.resampler)

    def load(self, weights: str, **more: Any) -> Model:
        """Load a network; `more` as for ``models.get_model``, and the errors."""
        if self.commissioning:
            return phantom_stand_in(weights, self.directory, self.device)
        return get_model(weights, self.directory, self.device, **more)

    def provenance(self, model: Model) -> Provenance:
        """Say what makes the results of a model."""
        return Provenance(model.identity, self.commissioning, resample.find(self.resampler).words)


def through(
    paths: Paths,
    model: Model,
    how: How,
    forward: Callable[[Tensor], tuple[Tensor, ...]],
    finish: Callable[..., Result],
) -> Iterator[Result | Unread]:
    """Run files through a network.

    Parameters
    ----------
    paths
        Files and folders.
    model
        In evaluation mode; its ``size`` is that to which images are brought, its device where they go.
    how
        Resampler, batch and who is told of the progress.
    forward
        From ``[B, 1, size, size]`` to tensors whose first axis is the image. Runs without gradients.
    finish
        Of an ``Opened`` and, for each of these tensors, the image's part as an array: its result.

    Yields
    ------
    Result or Unread
        For each file in order; paths that are not there come last. An image for which the network gives
        infinite or no numbers is ``Unread``, and leaves the others as they are.

    Raises
    ------
    XrvNodeError
        The device has not enough memory for a batch.
    """
    sources, missing = listed(paths, how.passed_over)
    done = 0
    images = opened(
        sources, model.size, how.resampler, how.batch + READERS, how.max_value, phantoms=how.commissioning
    )
    for batch in _batches(images, how.batch):
        good = [image for image in batch if isinstance(image, Opened)]
        results = iter(_computed(good, model, forward, finish))
        for image in batch:
            yield image if isinstance(image, Unread) else next(results)
        done += len(batch)
        if how.progress is not None:
            how.progress(done, len(sources))
    yield from missing


def _batches(images: Iterator[Opened | Unread], most: int) -> Iterator[list[Opened | Unread]]:
    batch: list[Opened | Unread] = []
    for image in images:
        batch.append(image)
        if len(batch) == most:
            yield batch
            batch = []
    if batch:
        yield batch


def _computed(
    images: Sequence[Opened],
    model: Model,
    forward: Callable[[Tensor], tuple[Tensor, ...]],
    finish: Callable[..., Result],
) -> list[Result | Unread]:
    import numpy as np

    from xrv_node.models import inference

    if not images:
        return []
    x = np.stack([image.pixels for image in images])[:, np.newaxis]
    arrays, finite = inference.at_once(lambda i: forward(i[model.size]), {model.size: x}, model.device)
    return [
        finish(image, *(array[row] for array in arrays))
        if finite[row]
        else Unread(image.source.path, inference.OVERFLOW)
        for row, image in enumerate(images)
    ]
