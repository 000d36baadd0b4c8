"""What the tests of an archive of priors share: the patient, the networks, and ways to an archive."""

from __future__ import annotations

from typing import Any

from analysed import CLASSIFIER, NOW, image

from xrv_node.priors import archive
from xrv_node.priors.subject import Basis, Earlier, Subject, subject_of
from xrv_node.settings import Settings
from xrv_node.settings.priors import DimsePriors, WebPriors

BASIS = Basis(CLASSIFIER, "linear")
SCORES = {"Effusion": 0.25, "Mass": 0.75}


def present() -> Subject:
    found = subject_of([image(9, NOW)])
    assert found is not None
    return found


def section(keys: dict[str, Any]) -> DimsePriors | WebPriors:
    made = Settings(priors=keys).priors
    assert isinstance(made, DimsePriors | WebPriors)
    return made


def find(keys: dict[str, Any]) -> list[Earlier]:
    return archive.find(section({"timeout_seconds": 20} | keys), "XRVNODE", present(), BASIS, ())


def ways(port: int) -> list[dict[str, Any]]:
    return [
        {"kind": "dimse", "ae_title": "ARCHIVE", "host": "127.0.0.1", "port": port},
        {"kind": "web", "url": f"http://127.0.0.1:{port}/dicom-web"},
    ]
