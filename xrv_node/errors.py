"""Every error that a user can cause. Its message says what to change; the command line prints it as it is.

What can reach a report, the database or a command's JSON carries a reason in place of a sentence
(``reasons.of``); its message is the reason's English wording.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Worded(Protocol):
    """What ``reasons.Reason`` is, which this room does not know."""

    @property
    def key(self) -> str:
        """Of the tables of words."""

    @property
    def values(self) -> Mapping[str, Any]:
        """What it is filled in with."""


class XrvNodeError(Exception):
    """The base of all: one sentence that names the thing that is wrong and the remedy. No patient data.

    Parameters
    ----------
    *lines
        The sentence; or several, a line each. A line end within one is not the program's, and is shown as
        what it is.
    """

    @property
    def lines(self) -> tuple[str, ...]:
        """What is said, a line each."""
        return tuple(map(str, self.args))

    def __str__(self) -> str:
        return "\n".join(self.lines)


class XrvNodeWarning(UserWarning):
    """What a user should look at and may be right: one sentence, as of an error."""


class ConfigError(XrvNodeError):
    """A configuration key, value or file."""


class WeightsError(XrvNodeError):
    """A weights file that is missing, damaged, hostile or of another model."""


class ImageError(XrvNodeError):
    """An image that cannot be analysed, however often it is tried."""

    def __init__(self, reason: Worded) -> None:
        super().__init__(reason)


class WithheldError(ImageError):
    """An image that a set of networks must not answer: a phantom's that is a patient's, or the other way.

    Parameters
    ----------
    reason
        Why.
    mark
        The z of the phantoms' mark in its pixels (``phantom.mark``).
    """

    def __init__(self, reason: Worded, mark: float = 0.0) -> None:
        super().__init__(reason)
        self.mark = mark


class RefusedError(XrvNodeError):
    """An object that intake will not take, with the DIMSE status that says so."""

    def __init__(self, status: int, reason: Worded) -> None:
        super().__init__(reason)
        self.status = status


class DestinationError(XrvNodeError):
    """A destination that could not be reached or would not take an object."""


class QueueError(XrvNodeError):
    """A job that is not there, or not in a state that allows what was asked."""


class DatasetError(XrvNodeError):
    """A public dataset's folder, file or table that cannot be used."""
