"""Every error that a user can cause. Its message says what to change; the command line prints it as it is."""


class XrvNodeError(Exception):
    """The base of all: one sentence that names the thing that is wrong and the remedy. No patient data."""


class ConfigError(XrvNodeError):
    """A configuration key, value or file."""


class WeightsError(XrvNodeError):
    """A weights file that is missing, damaged, hostile or of another model."""


class ImageError(XrvNodeError):
    """An image that cannot be analysed, however often it is tried."""


class RefusedError(XrvNodeError):
    """An object that intake will not take, with the DIMSE status that says so."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class DestinationError(XrvNodeError):
    """A destination that could not be reached or would not take an object."""


class QueueError(XrvNodeError):
    """A job that is not there, or not in a state that allows what was asked."""


class DatasetError(XrvNodeError):
    """A public dataset's folder, file or table that cannot be used."""
