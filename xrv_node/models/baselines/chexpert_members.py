"""The checkpoints of the CheXpert ensemble, in the zip that its authors hand out. Without torch.

A member is a trainer's checkpoint. What is taken from it is the network's tensors and, of the last layer, the
rows of the group's own tasks: a member has rows for all labels of the data set, but was chosen for these.
"""

from __future__ import annotations

import tomllib
import zipfile
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from xrv_node.errors import WeightsError
from xrv_node.models import pickles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

PREFIX = "module.model."
"""Before every key of a member."""

CLASSES = 3
"""Outputs a task of the groups that model uncertainty: uncertain, absent, present."""


@dataclass(frozen=True, slots=True)
class MemberGroup:
    """Networks that were trained and chosen alike."""

    tasks: tuple[str, ...]
    """As the checkpoints name them."""
    three_class: bool
    """``CLASSES`` outputs for each task instead of one."""
    members: tuple[str, ...]
    """Paths in the zip, in the order of its authors' table."""

    @property
    def outputs(self) -> int:
        """Rows of a member's last layer that are kept."""
        return len(self.tasks) * (CLASSES if self.three_class else 1)


@cache
def groups() -> tuple[MemberGroup, ...]:
    """The three groups, read from ``dicom_config/chexpert.toml``."""
    text = files("dicom_config").joinpath("chexpert.toml").read_text(encoding="utf-8")
    return tuple(
        MemberGroup(
            tuple(row["tasks"]),
            row["three_class"],
            tuple(f"{run['folder']}/iter_{n}.pth.tar" for run in row["runs"] for n in run["iterations"]),
        )
        for row in tomllib.loads(text)["group"]
    )


def count(source: Path) -> int:
    """Count the members that a zip has of each group, from the first on.

    Raises
    ------
    WeightsError
        Not a zip, or without a member in one of the groups.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            names = set(archive.namelist())
    except (OSError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{source.name} is not a whole zip archive: get it again") from error
    there = [_leading(group, names) for group in groups()]
    if min(there) == 0:
        raise WeightsError(
            f"{source.name} is not the ensemble's archive: {groups()[there.index(0)].members[0]} is not in it"
        )
    return min(there)


def _leading(group: MemberGroup, names: set[str]) -> int:
    absent = (index for index, path in enumerate(group.members) if path not in names)
    return next(absent, len(group.members))


def read(source: Path, members: int) -> Iterator[tuple[str, dict[str, NDArray[Any]]]]:
    """Read the first `members` of each group, one after the other.

    Yields
    ------
    tuple
        What the keys begin with (``groups.0.0.``), and the tensors by key; in the order of the keys.

    Raises
    ------
    WeightsError
        As ``pickles.read``, or a checkpoint without its tasks.
    """
    wanted = {
        f"groups.{g}.{m}.": (group, path)
        for g, group in enumerate(groups())
        for m, path in enumerate(group.members[:members])
    }
    for prefix in sorted(wanted):
        group, path = wanted[prefix]
        checkpoint = pickles.read(source, path, lenient=True)
        tensors = {key.removeprefix(PREFIX): value for key, value in checkpoint.tensors().items()}
        rows = _rows(group, checkpoint.root, path)
        for key in ("classifier.weight", "classifier.bias"):
            if key not in tensors or max(rows) >= len(tensors[key]):
                raise WeightsError(f"{path} is not a member of the ensemble: its last layer is another one")
            tensors[key] = np.ascontiguousarray(tensors[key][rows])
        yield prefix, {f"{prefix}{key}": value for key, value in tensors.items()}


def _rows(group: MemberGroup, root: object, path: str) -> list[int]:
    """Rows of the last layer that belong to the group's tasks, in their order."""
    sequence = root.get("task_sequence") if isinstance(root, dict) else None
    width = CLASSES if group.three_class else 1
    rows: list[int] = []
    for task in group.tasks:
        index = sequence.get(task) if isinstance(sequence, dict) else None
        if type(index) is not int or index < 0:
            raise WeightsError(f"{path} does not say which of its outputs is {task}")
        rows += range(index * width, (index + 1) * width)
    return rows
