"""What patients, UIDs and dates are called in an export: keyed by a secret of the node, so that its exports
fit together, and nobody without the secret gets back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from pydicom import Dataset
from pydicom.uid import UID

from xrv_node import keyed
from xrv_node.attributes import text

if TYPE_CHECKING:
    from dicognito.datetimeanonymizer import DateTimeAnonymizer

_LEAST, _MOST = 365, 10 * 365
"""Days by which a patient's dates are earlier than they were, and some hours, lest times of day stay."""


@dataclass(frozen=True, slots=True)
class Names:
    """Of one node."""

    data_dir: Path
    """Where its key is (`keyed`)."""

    def uid(self, uid: str) -> str:
        """Return the UID that stands for another, ``2.25.<UUID as a decimal number>`` (PS3.5 annex B.2); one
        that the standard itself gave stands for itself."""
        if UID(uid).name != uid:
            return uid
        digest = keyed.keyed(self.data_dir, "export", "uid", uid)
        return f"2.25.{UUID(digest[:32], version=5).int}"

    def patient(self, header: Dataset) -> str:
        """Return the Patient ID that stands for an object's; without one, what stands for its study."""
        said = text(header, "PatientID") or text(header, "StudyInstanceUID")
        return f"XRV-{keyed.keyed(self.data_dir, 'export', 'patient', said)[:16]}"

    def dates(self, patient: str) -> DateTimeAnonymizer:
        """Return what moves a patient's dates and the times that belong to them: all by the same hours."""
        from dicognito.datetimeanonymizer import DateTimeAnonymizer

        hours, number = divmod(
            int(keyed.keyed(self.data_dir, "export", "dates", patient), 16), _MOST - _LEAST
        )
        return DateTimeAnonymizer(-24 * (_LEAST + number) - 1 - hours % 23)

    def plan(self, *said: str) -> str:
        """Return a digest by which an export is known again, and which names nothing of it."""
        return keyed.keyed(self.data_dir, "export", "plan", *said)
