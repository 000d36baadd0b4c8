"""A PACS that sends studies over a few associations, and keeps on until each is acknowledged."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock, Thread
from time import monotonic, sleep

from pydicom import Dataset
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dsutils import encode


@dataclass
class Sender:
    """Sends the studies that it is given, each until the node takes it."""

    port: int
    make: Callable[[int], Dataset]
    """The one image of a study, by the study's number."""
    hurry: Callable[[], bool] = lambda: True
    """Asked before each study: whether to send it now."""
    acknowledged: dict[str, str] = field(default_factory=dict)
    """SHA-256 of the data set by SOP Instance UID."""
    statuses: list[int] = field(default_factory=list)
    """Answers that were not Success."""
    pause: float = 0
    """Seconds after each study."""

    def __post_init__(self) -> None:
        self._lock = Lock()

    def start(self, numbers: range, associations: int = 1, seconds: float = 600) -> list[Thread]:
        """Send in threads, one an association; give up what is not taken after `seconds`."""
        end = monotonic() + seconds
        parts = [numbers[first::associations] for first in range(associations)]
        threads = [Thread(target=self._send, args=(part, end), daemon=True) for part in parts]
        for thread in threads:
            thread.start()
        return threads

    def _send(self, numbers: range, end: float) -> None:
        association: Association | None = None
        for number in numbers:
            dataset = self.make(number)
            while monotonic() < end:
                if not self.hurry():
                    sleep(0.5)
                    continue
                if association is None or not association.is_established:
                    association = self._associate(dataset)
                if association is not None and self._store(association, dataset):
                    break
                sleep(0.3)  # nobody listens at the moment, or there is no room
            sleep(self.pause)
        if association is not None and association.is_established:
            association.release()

    def _associate(self, dataset: Dataset) -> Association | None:
        ae = AE(ae_title="PACS")
        ae.acse_timeout = ae.dimse_timeout = 60
        ae.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
        found = ae.associate("127.0.0.1", self.port, ae_title="XRVNODE", max_pdu=0)
        return found if found.is_established else None

    def _store(self, association: Association, dataset: Dataset) -> bool:
        try:
            status = association.send_c_store(dataset).get("Status")
        except (RuntimeError, ValueError):  # the association ended meanwhile
            return False
        with self._lock:
            if status == 0:
                sent = encode(dataset, False, True) or b""  # as it went: Explicit VR Little Endian
                self.acknowledged[str(dataset.SOPInstanceUID)] = hashlib.sha256(sent).hexdigest()
            elif status is not None:
                self.statuses.append(int(status))
        return status == 0
