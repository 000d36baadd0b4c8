"""Networks that their user has fine-tuned with torchxrayvision: a saved module or a state dict, and the names
of its outputs. They become files like those of networks that were trained here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from xrv_node.errors import WeightsError
from xrv_node.models import importing, trained_here
from xrv_node.models.architectures import HEAD, layout
from xrv_node.models.convert import THRESHOLDS, checked
from xrv_node.models.trained_here import TrainedNetwork

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from xrv_node.models.entry import ModelEntry
    from xrv_node.models.weights import Installed

    Tensors = Mapping[str, NDArray[Any]]

MARK = {
    "densenet121": "features.denseblock1.denselayer1.conv1.weight",
    "resnet50_classifier": "layer1.0.conv1.weight",
}
"""By architecture: a key that a network of it has once, which tells what stands before its keys."""

STEM = {"densenet121": "features.conv0.weight", "resnet50_classifier": "conv1.weight"}
"""By architecture: the first convolution."""

COUNTER = "num_batches_tracked"
"""What batch normalisations count, which changes no output; files of before PyTorch 0.4.1 are without."""

CAUTION = "Fine-tuned by its user elsewhere, for research; nobody but them has checked it."
WITHOUT_POINTS = (
    "It has no operating points: scores are plain sigmoids, and from 0.5 on a finding counts as present, "
    "which nobody has measured. `xrv-node validate --write-thresholds` measures them, and `models import "
    "--thresholds` takes them."
)
GIVEN_POINTS = (
    "Scores are rescaled so that 0.5 is the operating point that its user gave; they are no probabilities."
)
KEPT_POINTS = (
    "Scores are rescaled so that 0.5 is the operating point that its file holds (op_threshs); they are no "
    "probabilities."
)
OLD_POINTS = "The operating points in its file are those of {like}, of before it was fine-tuned."


@dataclass(frozen=True, slots=True, eq=False)
class FineTuned:
    """What a file holds."""

    tensors: dict[str, NDArray[Any]]
    """The whole state dict, by the network's own names."""
    points: tuple[float, ...] | None
    """Operating points of all outputs in the file, NaN where there is none; None: not in it."""
    remarks: tuple[str, ...]
    """What was left out, a sentence each."""


def import_fine_tuned(
    source: Path,
    like: ModelEntry,
    findings: Sequence[str],
    directory: Path,
    *,
    name: str | None = None,
    thresholds: Sequence[float | None] | None = None,
    force: bool = False,
) -> tuple[Installed, tuple[str, ...]]:
    """Put a network that its user has fine-tuned with torchxrayvision into the model directory.

    Parameters
    ----------
    source
        A saved module, a state dict or a trainer's checkpoint; it is only read, and nothing in it is run.
    like
        The network that it was fine-tuned from.
    findings
        What each output stands for, in order.
    directory
        The model directory, made if need be.
    name
        What it is called; None: as the file.
    thresholds
        Operating point of each output on the sigmoid's scale; None: those of the file, if it has any.
    force
        Replace another network of the same name.

    Returns
    -------
    Installed, tuple of str
        The file, and what is to be said of what was read.

    Raises
    ------
    WeightsError
        It holds no such network, or the directory cannot be written; a name, finding or operating point that
        cannot be; another network of that name is there.
    """
    if like.network not in HEAD:
        raise WeightsError(
            f"{like.name} is nothing to fine-tune: name a classifier that is a {' or a '.join(HEAD)}"
        )
    tensors, kinds = importing.everything(source)
    try:
        found = arranged(tensors, like, len(findings))
    except WeightsError as error:
        raise WeightsError(f"{source.name} cannot be imported like {like.name}: {error}") from error
    known = described(name or source.stem.lower(), like, findings, found, thresholds)
    remarks = found.remarks
    if without := [label for label, point in zip(findings, known.thresholds, strict=False) if point is None]:
        remarks = (*remarks, f"{', '.join(without)}: without an operating point, and so in no result")
    return importing.keep(source, found.tensors, known, directory, kinds, force=force), remarks


def arranged(tensors: Tensors, like: ModelEntry, outputs: int) -> FineTuned:
    """Find the network in a file, and check that it is like another one.

    Parameters
    ----------
    tensors
        All tensors of the file, floating ones float32 (``convert.whatever``).
    like
        A classifier of an architecture of ``architectures.HEAD``.
    outputs
        How many findings are named.

    Raises
    ------
    WeightsError
        It holds no such network, several, or one of other dimensions; says what was found.
    """
    prefix = _prefix(tensors, like)
    inside = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
    inside = {key: value for key, value in inside.items() if key != THRESHOLDS}
    stem = inside.get(STEM[like.network])
    if stem is not None and stem.shape[1:2] != (1,):
        raise WeightsError(
            f"its first layer takes {stem.shape[1]} colours, and that of {like.name} one grey channel: a "
            "network of torchvision's is none of torchxrayvision's; `xrv-node train --init FILE.pth` begins "
            "with such weights"
        )
    _one_linear_layer(inside, HEAD[like.network])
    found = inside[f"{HEAD[like.network]}.weight"].shape[0]
    if found != outputs:
        raise WeightsError(
            f"its last layer has {found} output{'s' * (found != 1)}; {outputs} finding"
            f"{'s are' if outputs != 1 else ' is'} named: name one for each output, in their order, with "
            "--findings"
        )
    wanted = layout(like.network, {"heads": outputs})
    for key in wanted:
        if key.endswith(COUNTER):
            inside.setdefault(key, np.zeros((), np.int64))
    _same(inside, {key: shape for key, (_, shape) in wanted.items()}, like)
    others = sum(not key.startswith(prefix) for key in tensors if key.rpartition(".")[2] != THRESHOLDS)
    remarks = [f"left out, as not of the network: {others} of the file's {len(tensors)} tensors"] * bool(
        others
    )
    points = [value for key, value in tensors.items() if key.rpartition(".")[2] == THRESHOLDS]
    own = points[0].reshape(-1).tolist() if points else []
    if own and len(own) != outputs:
        remarks.append(
            f"the file's {len(own)} operating points (op_threshs) are of other outputs, and were left out"
        )
    return FineTuned(checked(inside, wanted), tuple(own) if len(own) == outputs else None, tuple(remarks))


def _prefix(tensors: Tensors, like: ModelEntry) -> str:
    """What stands before the keys of the network: ``module.``, ``model.``, both."""
    mark = MARK[like.network]
    before = sorted(key.removesuffix(mark) for key in tensors if key == mark or key.endswith(f".{mark}"))
    if len(before) > 1:
        raise WeightsError(
            f"it holds {len(before)} networks ({', '.join(repr(one[:40]) for one in before[:4])} before the "
            "names of their tensors): save the one that is wanted alone"
        )
    if before:
        return before[0]
    for network, other in MARK.items():
        if any(key == other or key.endswith(f".{other}") for key in tensors):
            raise WeightsError(
                f"it is a {network}, and {like.name} is a {like.network}: name with --like one of its own "
                "kind"
            )
    example = f", but for example {min(tensors)[:80]!r}" if tensors else ": it has no tensors"
    raise WeightsError(f"it is no network like {like.name}: it has no tensor {mark!r}{example}")


def _one_linear_layer(inside: dict[str, NDArray[Any]], head: str) -> None:
    """Name the tensors of the last layer as the network does, also where it stands behind a dropout."""
    own = {key: value for key, value in inside.items() if key.startswith(f"{head}.")}
    linear = [key for key, value in own.items() if key.endswith(".weight") and value.ndim == 2]
    place = linear[0].removesuffix("weight") if len(linear) == 1 else ""
    if not place or own.keys() - {f"{place}weight", f"{place}bias"}:
        held = ", ".join(f"{key} {list(value.shape)}" for key, value in sorted(own.items())[:6]) or "nothing"
        raise WeightsError(
            f"its last layer, {head}, is not one linear layer, which is all that can be served: it holds "
            f"{held}"
        )
    for key in own:
        del inside[key]
    weight = own[f"{place}weight"]
    inside[f"{head}.weight"] = weight
    inside[f"{head}.bias"] = own.get(f"{place}bias", np.zeros(weight.shape[0], np.float32))


def _same(inside: Tensors, wanted: Mapping[str, tuple[int, ...]], like: ModelEntry) -> None:
    """Refuse what is not the network of `like` but for its outputs."""
    missing, unknown = wanted.keys() - inside.keys(), inside.keys() - wanted.keys()
    if missing or unknown:
        raise WeightsError(
            f"it is not the network of {like.name}, a {like.network}: {len(missing)} of its {len(wanted)} "
            f"tensors are missing and {len(unknown)} are unknown, {min(missing or unknown)[:80]!r} among them"
        )
    for key, shape in wanted.items():
        if inside[key].shape != shape:
            raise WeightsError(
                f"it is not the network of {like.name}, a {like.network}: {key!r} is "
                f"{list(inside[key].shape)}, not {list(shape)}"
            )
        if inside[key].dtype.kind == "f" and not np.isfinite(inside[key]).all():
            raise WeightsError(
                f"values of {key!r} are no finite numbers (NaN or infinite), and so would be its scores: "
                "save the network as it was before"
            )


def described(
    name: str,
    like: ModelEntry,
    findings: Sequence[str],
    found: FineTuned,
    given: Sequence[float | None] | None,
) -> TrainedNetwork:
    """Return what the network's file is to say of it.

    Parameters
    ----------
    name
        What it is called.
    like
        What it was fine-tuned from.
    findings
        Of each output.
    found
        What its file holds.
    given
        Operating points that its user gave, for each output; None: those of the file, if any.

    Raises
    ------
    WeightsError
        A name, finding or operating point that cannot be.
    """
    points = given if given is not None else found.points
    known = [None if t is None or math.isnan(t) else t for t in points or ()]
    said = [WITHOUT_POINTS] if not any(known) else [KEPT_POINTS] if given is None else [GIVEN_POINTS]
    theirs = like.operating_points(published=True).thresholds
    own = np.array(found.points or (), float)
    old = own.size > 0 and own.shape == np.shape(theirs) and np.allclose(own, theirs, 1e-2, equal_nan=True)
    if given is None and old:
        said.append(OLD_POINTS.format(like=like.name))
    try:
        return TrainedNetwork.model_validate(
            {
                "name": name,
                "network": like.network,
                "input_size": like.input_size,
                "training_data": (
                    "its user's",
                    *(f"before: {title.removeprefix('before: ')}" for title in like.training_data),
                ),
                "cautions": (CAUTION, *said),
                "labels": tuple(findings),
                "thresholds": tuple(known) if any(known) else (),
                "status": "fine-tuned elsewhere",
            }
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise WeightsError(f"{f'{where}: ' if where else ''}{trained_here.words(first)}") from error
