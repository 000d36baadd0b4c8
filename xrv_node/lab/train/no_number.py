"""Where a training ends: at the first loss, output or weight that is no number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from xrv_node.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn


class NoNumberError(ConfigError):
    """A loss, an output or a weight is no number: such a network is neither trained on nor measured."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} no longer a number: train with a lower learning_rate")


def check_weights(network: nn.Module) -> None:
    """Refuse a network whose weights are no numbers, so that no checkpoint is of such.

    Running statistics are no part of the training's loss, and may overflow without it.

    Raises
    ------
    NoNumberError
        One is none.
    """
    if not all(value.isfinite().all() for value in network.state_dict().values()):
        raise NoNumberError("a weight or running mean of the network is")


def remedy(error: NoNumberError, words: str, history: Sequence[Mapping[str, Any]], *, kept: bool) -> str:
    """Return what ends the run, a sentence: what to change, and until when the network was sound.

    With the same recipe a run comes to the same, and a checkpoint goes on with no other.

    Parameters
    ----------
    error
        What was found.
    words
        What the training began with.
    history
        A row for each epoch that was measured, as ``checkpoint.Position.history``.
    kept
        Whether there is a checkpoint.
    """
    sound = [row for row in history if np.isfinite(row["valid_loss"])]
    if not sound:
        return f"{error}; or name another init: it is so of {words}, before any training"
    last = sound[-1]
    where = f"after epoch {last['epoch']} of stage {last['stage']!r}" if last["epoch"] else "before training"
    again = " into another folder, for --resume would come to the same" if kept else ""
    return f"{error}{again}; {where} the network was sound"
