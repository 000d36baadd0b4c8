"""The log: lines for people or JSON for programs, to standard error, without patient data."""

from __future__ import annotations

import logging
import sys
import warnings
from typing import Any

import structlog

from xrv_node.settings.node import LogSection
from xrv_node.visible import visible

_LIBRARIES = (
    *("pydicom", "pynetdicom", "highdicom", "apscheduler", "py.warnings"),
    *("dicomweb_client", "retrying", "urllib3", "python_multipart"),
)


def configure(settings: LogSection, process: str) -> None:
    """Set the log up for this process.

    The libraries' own messages are left out: pydicom and pynetdicom quote attribute values in their
    warnings, which may be a patient's name, and those of the web the address, which may hold a Patient ID.
    """
    warnings.simplefilter("ignore")
    for name in _LIBRARIES:
        library = logging.getLogger(name)
        library.handlers, library.propagate = [logging.NullHandler()], False
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if settings.as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _of(process),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(_traceback),
            _visible,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(settings.level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )


def _visible(_logger: Any, _method: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Escape what a terminal would obey: names of files come from outside."""
    return {key: visible(value) if isinstance(value, str) else value for key, value in line.items()}


def _of(process: str) -> structlog.typing.Processor:
    """Name the process in every line; structlog's own context ends where another thread begins."""

    def name(_logger: Any, _method: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
        line.setdefault("process", process)
        return line

    return name


def _traceback(exc_info: structlog.typing.ExcInfo) -> str:
    """Where it happened and the exception's class, not its text: libraries quote what they choked on."""
    kind, _, trace = exc_info
    frames = []
    while trace is not None:
        frames.append(f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}")
        trace = trace.tb_next
    return " < ".join([kind.__name__, *reversed(frames)])
