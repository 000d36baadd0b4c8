"""What an archive may answer. Real ones stay far below; a broken or hostile one must not fill memory."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from pydicom import Dataset

from xrv_node.attributes import text
from xrv_node.result_kinds import KINDS
from xrv_node.spool import is_uid

MAX_ANSWERS = 2000
"""Studies of a patient, or series of a study: more than any patient's whole life makes."""
MAX_SERIES = 20
"""Reports of a study that are fetched: one for each language and each time that an image came late."""
MAX_BYTES = 8 << 20
"""Of everything that is received for one search. A report has some 50 kB, a study in an answer one or two."""
MAX_REPORT = 1 << 20
"""Bytes of what is received of one series, before anything is parsed."""
NOBODY = "XRVNODE-CHECK"
"""A Patient ID to ask about that no patient has."""


def report_series(series: Iterable[Dataset]) -> list[str]:
    """Return the Series Instance UIDs, of those that an archive found, that may be of this project's reports:
    those of their Series Number, or of none. At most ``MAX_SERIES``."""
    numbers = ("", str(KINDS["report"].series_number))
    uids = (text(s, "SeriesInstanceUID") for s in series if text(s, "SeriesNumber") in numbers)
    return list(islice(filter(is_uid, uids), MAX_SERIES))
