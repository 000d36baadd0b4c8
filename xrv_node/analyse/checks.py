"""The networks that read sex, age and view off a picture, for `mismatch`: loading and asking them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from xrv_node.analyse.mismatch import ATTRIBUTES, Attribute
from xrv_node.errors import ConfigError
from xrv_node.models import get_model, inference
from xrv_node.reasons import Reason

if TYPE_CHECKING:
    from torch import Tensor

    from xrv_node.models.model import Model
    from xrv_node.settings.node import ModelsSection


@dataclass(frozen=True, slots=True, eq=False)
class Check:
    """One attribute's network."""

    attribute: Attribute
    model: Model
    device: str

    @property
    def size(self) -> int:
        """Side of its input."""
        return self.model.size

    def off(self, pixels: NDArray[np.float32], header: Dataset) -> float | None:
        """How far the picture is from what the header says.

        Parameters
        ----------
        pixels
            ``[size, size]`` in [-1024, 1024].
        header
            The image's.

        Returns
        -------
        float or None
            As the attribute's ``off``; None too where the network gives no number.

        Raises
        ------
        torch.OutOfMemoryError
            The device has not enough memory.
        """

        def forward(inputs: dict[int, Tensor]) -> tuple[Tensor, ...]:
            return (self.model(inputs[self.size]),)

        (said,), finite = inference.in_halves(forward, {self.size: pixels[None, None]}, self.device)
        names = (label.lower() for label in self.model.targets)
        found = self.attribute.off(dict(zip(names, said[0].tolist(), strict=True)), header)
        return found if finite[0] else None


@dataclass(frozen=True, slots=True, eq=False)
class Checks:
    """The attributes that are looked at, each with how far off it may be."""

    limited: tuple[tuple[Check, float], ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sides of the networks' inputs, each once."""
        return tuple(sorted({check.size for check, _ in self.limited}))

    def look(self, inputs: Mapping[int, NDArray[np.float32]], header: Dataset | None) -> tuple[Reason, ...]:
        """Say which attributes disagree beyond their limits.

        Parameters
        ----------
        inputs
            By side, ``[side, side]`` in [-1024, 1024].
        header
            The image's; None: there is nothing to disagree with.
        """
        if header is None:
            return ()
        far = ((check, check.off(inputs[check.size], header), limit) for check, limit in self.limited)
        return tuple(check.attribute.reason for check, off, limit in far if off is not None and off > limit)


def load(name: str, network: str, directory: Path, device: str, *, run_code: bool = False) -> Check:
    """Load the network of one attribute.

    Parameters
    ----------
    name
        A key of `mismatch.ATTRIBUTES`.
    network
        Its name in the catalogue.
    directory, device, run_code
        As for ``models.get_model``; the device is one of torch's, not ``auto``.

    Raises
    ------
    WeightsError
        As ``models.get_model``.
    ConfigError
        The network tells something else.
    """
    attribute, model = ATTRIBUTES[name], get_model(network, directory, device, run_code=run_code)
    if not attribute.labels <= {label.lower() for label in model.targets}:
        raise ConfigError(f"models.mismatch.{name}: {network} does not tell it: set it to 0")
    return Check(attribute, model, device)


def configured(models: ModelsSection, directory: Path, device: str) -> Checks:
    """Load what a configuration asks for.

    Raises
    ------
    WeightsError, ConfigError
        As `load`.
    """
    return Checks(
        tuple(
            (load(name, models.attributes[name], directory, device, run_code=models.mismatch.run_code), limit)
            for name, limit in models.limits.items()
        )
    )
