"""An archive with storage commitment, for the tests."""

from __future__ import annotations

import threading
from typing import Any

from pydicom import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.events import Event
from pynetdicom.sop_class import SegmentationStorage, StorageCommitmentPushModel

from xrv_node.db import commitments


class Archive:
    """An archive that stores, and commits as a test wants."""

    def __init__(self, *, commits: bool = True) -> None:
        self.requests: list[Dataset] = []
        self.stored: list[str] = []
        self.status = 0
        self.failures: dict[str, int] = {}
        """Failure Reason by SOP Instance UID."""
        self.same_association = True
        self.ae = AE(ae_title="ARCHIVE")
        self.ae.add_supported_context(SegmentationStorage)
        if commits:
            self.ae.add_supported_context(StorageCommitmentPushModel)
        handlers: list[Any] = [(evt.EVT_C_STORE, self._store), (evt.EVT_N_ACTION, self._action)]
        server: Any = self.ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        self.port = server.server_address[1]

    def _store(self, event: Event) -> int:
        self.stored.append(str(event.request.AffectedSOPInstanceUID))
        return 0

    def _action(self, event: Event) -> tuple[int, None]:
        self.requests.append(event.action_information)
        if self.status == 0 and self.same_association:
            threading.Timer(0.2, self.report, [event.assoc, event.action_information]).start()
        return self.status, None

    def report(self, association: Any, request: Dataset) -> int:
        """N-EVENT-REPORT on a request; the node's status."""
        answer = Dataset()
        answer.TransactionUID = request.TransactionUID
        good, bad = [], []
        for item in request.ReferencedSOPSequence:
            if item.ReferencedSOPInstanceUID in self.failures:
                item.FailureReason = self.failures[item.ReferencedSOPInstanceUID]
            (bad if "FailureReason" in item else good).append(item)
        answer.ReferencedSOPSequence = good
        if bad:
            answer.FailedSOPSequence = bad
        status, _ = association.send_n_event_report(
            answer,
            2 if bad else 1,
            StorageCommitmentPushModel,
            commitments.WELL_KNOWN_INSTANCE,
        )
        return int(status.Status)

    def call(self, port: int, request: Dataset) -> int:
        """Report over an association of the archive's own, as the SCP that calls."""
        ae = AE(ae_title="ARCHIVE")
        ae.add_requested_context(StorageCommitmentPushModel)
        role = build_role(StorageCommitmentPushModel, scp_role=True)
        association = ae.associate("127.0.0.1", port, ae_title="XRVNODE", ext_neg=[role])
        assert association.is_established
        try:
            return self.report(association, request)
        finally:
            association.release()
