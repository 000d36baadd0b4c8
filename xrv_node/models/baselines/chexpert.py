"""The CheXpert ensemble (Irvin et al. 2019): three groups of up to 30 DenseNet121, whose mean counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional
from torchvision.models import densenet121

from xrv_node.models import inputs
from xrv_node.models.baselines.chexpert_members import CLASSES, groups

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

    from xrv_node.models.baselines.chexpert_members import MemberGroup

SIZE = 320
"""Rows and columns of the images that the released weights were trained on."""

SCALE = 512.0
"""torchxrayvision feeds the members [-2, 2]."""

TASKS = ("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Pleural Effusion")
"""In the order of the outputs, as the checkpoints name them; the catalogue calls the last one Effusion."""


def _present(outputs: Tensor, group: MemberGroup) -> Tensor:
    """Probability of each of a group's tasks, ``[B, tasks]``."""
    if not group.three_class:
        return outputs.sigmoid()
    # Of uncertain, absent and present the first is left out (Irvin et al. 2019, U-MultiClass).
    return outputs.view(len(outputs), -1, CLASSES)[:, :, 1:].softmax(dim=2)[:, :, 1]


class CheXpert(nn.Module):
    """The ensemble.

    Its weights are read from the disk as they are needed (safetensors maps the file), so members that lie on
    the CPU take no memory that the system could not take back.

    Parameters
    ----------
    members
        Networks of each group, 1 to 30.
    """

    def __init__(self, members: int) -> None:
        super().__init__()
        self.members = members
        self.groups = nn.ModuleList(
            nn.ModuleList(densenet121(weights=None, num_classes=group.outputs) for _ in range(members))
            for group in groups()
        )

    def _pooled(self, x: Tensor) -> Iterator[tuple[int, nn.Module, Tensor]]:
        """Group, member and mean of the member's last map, ``[B, 1024]``, one member after the other."""
        y = inputs.rgb(inputs.checked(x, SIZE) / SCALE)
        for index, group in enumerate(self.groups):
            for member in group.children():
                yield index, member, functional.relu(member.get_submodule("features")(y)).mean(dim=(2, 3))

    def embed(self, x: Tensor) -> Tensor:
        """Return every member's pooled map, ``[B, 3 * members * 1024]``; input as ``forward``."""
        return torch.cat([pooled for _, _, pooled in self._pooled(x)], dim=1)

    def probabilities(self, x: Tensor) -> Tensor:
        """Return the mean of the members' probabilities, ``[B, 5]``; input as ``forward``."""
        sums: list[Tensor | None] = [None for _ in self.groups]
        for index, member, pooled in self._pooled(x):
            p = _present(member.get_submodule("classifier")(pooled), groups()[index])
            total = sums[index]
            sums[index] = p if total is None else total + p
        means = {
            task: total[:, column] / self.members
            for group, total in zip(groups(), sums, strict=True)
            if total is not None
            for column, task in enumerate(group.tasks)
        }
        return torch.stack([means[task] for task in TASKS], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """Score a batch.

        Parameters
        ----------
        x
            float ``[B, 1, H, H]`` in [-1024, 1024]; resized to 320 where H differs (``inputs.resize``).

        Returns
        -------
        Tensor
            ``[B, 5]``, in the order of ``TASKS``: the logit whose sigmoid is the mean of the members'
            probabilities, to the last digit of a float32.

        Raises
        ------
        ImageError
            As ``inputs.check``.
        """
        p = self.probabilities(x)
        return p.logit(eps=torch.finfo(p.dtype).eps)


def members_of(state: Mapping[str, Tensor]) -> int:
    """Count the members of each group in a state dict."""
    return 1 + max((int(key.split(".")[2]) for key in state if key.startswith("groups.")), default=-1)


def first(state: Mapping[str, Tensor], members: int) -> dict[str, Tensor]:
    """Return the state dict of an ensemble of the first `members` of each group."""
    return {key: value for key, value in state.items() if int(key.split(".")[2]) < members}
