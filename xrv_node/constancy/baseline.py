"""The answer that was accepted, and the newest one, as files; who accepted it, and why, stands in the
trail."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from xrv_node import durable
from xrv_node.analyse.analysis_file import load
from xrv_node.constancy import record
from xrv_node.constancy.answer import Answer, of
from xrv_node.db import trail
from xrv_node.errors import XrvNodeError
from xrv_node.reasons import Reason

_FOLDER = "constancy"


def measured(root: Path, study: str) -> Path:
    """Where the worker puts the answer of the networks for patients to a test, below the data directory."""
    return root / _FOLDER / f"{study}.npz"


def accepted(root: Path) -> Path:
    """Where the baseline is."""
    return root / _FOLDER / "baseline.npz"


def accept(
    db: Session, root: Path, study: str, machine: Mapping[str, str], *, name: str, reason: str
) -> None:
    """Take the answer to a test for the baseline, with the machine that gave it.

    Parameters
    ----------
    study
        Of the test. Where only networks for phantoms run there is no answer of others, and the machine
        alone is accepted.
    name, reason
        Who accepts it, and why.
    """
    file, digest = measured(root, study), ""
    if file.is_file():
        content = file.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        durable.write(accepted(root), [content])
    trail.record(
        db, record.ACCEPTED, study=study, name=name, reason=reason, machine=dict(machine), sha256=digest
    )


def read(root: Path, event: Mapping[str, Any]) -> Answer | Reason | None:
    """Read the baseline that an event of `record.ACCEPTED` speaks of.

    Returns
    -------
    Answer, Reason or None
        Why there is none, where it is gone or another one; None where none was kept, for there were no
        networks for patients.
    """
    digest = event["detail"]["sha256"]
    if not digest:
        return None
    try:
        if hashlib.sha256(accepted(root).read_bytes()).hexdigest() != digest:
            return Reason("constancy-baseline-lost")
        return of(load(accepted(root)))
    except (OSError, XrvNodeError):
        return Reason("constancy-baseline-lost")
