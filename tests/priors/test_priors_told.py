"""What a reader is told of the search: that nothing was found is not that nobody was asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from priors_cases import BASIS
from pydicom import Dataset

from xrv_node.db.store import Store
from xrv_node.errors import DestinationError
from xrv_node.frontal import decide
from xrv_node.priors import archive, local, search
from xrv_node.priors.subject import Earlier
from xrv_node.reasons import Reason
from xrv_node.settings import Settings
from xrv_node.spool import Spool
from xrv_node.values import Analysis, ImageOutcome, Prior

EARLIER = Earlier(Prior("1.2.3", "20250302", {"Mass": 0.3}), None, "spool")
ARCHIVE = {"kind": "web", "url": "https://127.0.0.1:9/dicom-web"}


class Answered:
    """As much of an analysis as the search looks at."""

    model_set: Any = None


def header(**changes: str) -> Dataset:
    made = Dataset()
    made.PatientID, made.PatientBirthDate, made.StudyDate = "P1", "19580101", "20261120"
    for keyword, value in changes.items():
        setattr(made, keyword, value)
    return made


@pytest.mark.parametrize(
    ("priors", "changes", "here", "there", "told"),
    [
        ({}, {}, [EARLIER], [], None),
        ({}, {}, [], [], search.NONE_HERE),
        ({"max_studies": 0}, {}, [EARLIER], [], search.OFF),
        ({}, {"PatientID": ""}, [EARLIER], [], search.NOT_COMPARABLE),
        (ARCHIVE, {}, [], [], search.NONE),
        (ARCHIVE, {}, [], [EARLIER], None),
        (ARCHIVE, {}, [], None, search.ARCHIVE_SILENT),
        (ARCHIVE, {}, [EARLIER], None, search.ARCHIVE_SILENT),
    ],
)
def test_why_there_is_no_earlier_study_is_told(
    priors: dict[str, Any],
    changes: dict[str, str],
    here: list[Earlier],
    there: list[Earlier] | None,
    told: Reason | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def asked(*_: object) -> list[Earlier]:
        if there is None:
            raise DestinationError(Reason("archive-slow", seconds="10"))
        return list(there)

    monkeypatch.setattr(local, "find", lambda *_: list(here))
    monkeypatch.setattr(archive, "find", asked)
    monkeypatch.setattr(search, "basis_of", lambda _: BASIS)
    image = ImageOutcome(header(**changes), decide(header()), cast("Analysis", Answered()))
    nothing = cast("Store", None), Spool(Path("spool"))
    found = search.find(Settings(priors=priors), *nothing, "1.2", [image])
    assert found.told == told
    assert (found.unavailable is None) == (there is not None)
