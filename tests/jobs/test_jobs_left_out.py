"""What a source has too much of is in no result, and the reader is told."""

from __future__ import annotations

import pytest
from analysed import Site, image
from made import SECRET
from pydicom import Dataset
from pydicom.sequence import Sequence

from xrv_node.db.store import Store
from xrv_node.spool import Spool


@pytest.fixture
def site(store: Store, spool: Spool) -> Site:
    return Site(store, spool)


def identifier(number: int) -> Dataset:
    item = Dataset()
    item.PatientID, item.TypeOfPatientID = f"{SECRET}-{number}", "TEXT"
    return item


def words(report: Dataset) -> str:
    """All text of a report."""
    return " ".join(str(element.value) for element in report.iterall() if element.VR == "UT")


def test_what_is_too_large_to_copy_is_left_out_with_a_caution(site: Site) -> None:
    few, many = [identifier(1)], [identifier(n) for n in range(5000)]
    site.analyse(image(1, OtherPatientIDsSequence=Sequence(few), AccessionNumber="A1"))
    site.analyse(
        image(
            2,
            OtherPatientIDsSequence=Sequence(many),
            AccessionNumber="1" * 40_000 + "\\" * 2000,
            PatientID="4711",
        )
    )
    (usual,), (told,) = site.report(1), site.report(2)
    assert (len(usual.OtherPatientIDsSequence), usual.AccessionNumber) == (1, "A1")
    assert "too large" not in words(usual)
    assert "OtherPatientIDsSequence" not in told
    assert told.AccessionNumber == ""  # type 2: there, if only empty
    assert told.PatientID == "4711"
    assert "left out here: Accession Number, Other Patient IDs Sequence." in words(told)
