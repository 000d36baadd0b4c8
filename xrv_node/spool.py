"""Where every file lies below the data directory, and the only place where a UID becomes a path."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_UID = re.compile(r"[0-9]+(\.[0-9]+)*", re.ASCII)


def is_uid(text: str) -> bool:
    """Whether `text` may be a UID: digits in components with dots between, 64 characters at most (PS3.5 9.1).

    A component with a leading zero is against the standard, but in the field, and harmless in a path.
    """
    return len(text) <= 64 and _UID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Spool:
    """The files of one node. Database rows hold paths relative to `root`."""

    root: Path
    desk: str = ""
    """Keeps apart the drafts of processes that receive at the same time."""

    @property
    def drafts(self) -> Path:
        """Where objects are written until they are complete; nothing in it is worth anything."""
        return self.root / "spool" / "incoming" / self.desk

    def input(self, study: str, instance: str, sha256: str) -> Path:
        """The place of a received object.

        The digest in the name keeps two objects with one SOP Instance UID apart, and lets a repeated write
        of the same bytes land where they already are.
        """
        return self.root / "spool" / "inputs" / _checked(study) / f"{_checked(instance)}-{sha256[:16]}.dcm"

    def analysis(self, study: str, instance: str, model_set: str) -> Path:
        """The place of an image's analysis by one model set."""
        return (
            self.root / "spool" / "analyses" / _checked(study) / f"{_checked(instance)}-{model_set[:16]}.npz"
        )

    def result(self, study: str, instance: str) -> Path:
        """The place of an object that the node made."""
        return self.root / "spool" / "results" / _checked(study) / f"{_checked(instance)}.dcm"

    def relative(self, path: Path) -> str:
        """A path as the database holds it."""
        return path.relative_to(self.root).as_posix()

    def absolute(self, relative: str) -> Path:
        """A path from the database."""
        return self.root / relative

    def clear_drafts(self) -> None:
        """Remove what the last holder of this desk left half-written: it was never acknowledged."""
        for path in self.drafts.glob(".*.part"):
            path.unlink(missing_ok=True)


def _checked(uid: str) -> str:
    if not is_uid(uid):
        raise ValueError("not a UID")
    return uid
