"""The trained network as a file that `models import` takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from xrv_node.errors import ConfigError
from xrv_node.models import importing, trained_here
from xrv_node.models.trained_here import TrainedNetwork
from xrv_node.models.weights import Installed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from xrv_node.lab.train.network import Start

BY_ITS_USER = "Trained by its user, for research; nobody but them has checked it."

CAUTIONS = (
    BY_ITS_USER,
    "Scores are rescaled so that 0.5 is the operating point; they are not probabilities, and the operating "
    "points come from the validation part of the training data, not from your patients.",
)

NOTHING_TOLD = (
    BY_ITS_USER,
    "No finding was told from chance on the validation part of the training data, so there are no operating "
    "points: scores are plain sigmoids, nothing is called by them, and a node does not run it.",
)


def check_name(name: str) -> str:
    """Return a name that a trained network can have, before hours are spent on it.

    Raises
    ------
    ConfigError
        It is that of a released network, or no name of a file.
    """
    try:
        TypeAdapter[str](trained_here.Name).validate_python(name)
    except ValidationError as error:
        raise ConfigError(
            f"a network cannot be called {name!r}: take a name that no released one has, of small letters, "
            "digits, '.', '_' and '-', with --name"
        ) from error
    return name


def write(
    name: str,
    start: Start,
    best: Mapping[str, Tensor],
    labels: tuple[str, ...],
    points: tuple[float | None, ...],
    datasets: tuple[str, ...],
    doubt: str,
    out: Path,
) -> Installed:
    """Write the network, what its outputs mean and their operating points.

    Parameters
    ----------
    name
        As `check_name` returned it.
    start
        What it began as.
    best
        Its state dict, on the CPU.
    labels, points
        Of each output, in order; None: no operating point, and so no such finding in results. Where there
        is none at all, the scores are sigmoids, and nothing is called.
    datasets
        Titles of what it was trained on here.
    doubt
        As ``splits.doubt``.
    out
        The folder.

    Returns
    -------
    Installed
        The file and its digests.
    """
    any_told = any(points)
    cautions = CAUTIONS if any_told else NOTHING_TOLD
    known = TrainedNetwork.model_validate(
        {
            "name": name,
            "network": start.architecture,
            "input_size": start.size,
            "training_data": (
                *datasets,
                *(f"before: {title.removeprefix('before: ')}" for title in start.training_data),
            ),
            "cautions": (*cautions, *filter(None, (start.caution, doubt))),
            "labels": labels,
            "thresholds": points if any_told else (),
            "calls": any_told,
        }
    )
    return importing.write_trained(
        {key: value.numpy() for key, value in best.items()}, known, out / f"{name}.safetensors"
    )
