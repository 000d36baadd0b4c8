"""Phantoms as DICOM: conforming, marked, readable in every coding, and by any sender's header a chest radiograph."""

from __future__ import annotations

from pathlib import Path

import dciodvfy
import numpy as np
import pytest
from pydicom import Dataset

from xrv_node import frontal
from xrv_node.errors import ConfigError
from xrv_node.phantom import coding, grey_scale, senders
from xrv_node.phantom.objects import VIEWS, Patient, Sending, dicom, uid
from xrv_node.phantom.phantom import WHITE, Phantom, make
from xrv_node.radiograph.read import read
from xrv_node.values import Verdict


@pytest.fixture(scope="module")
def phantoms() -> dict[str, Phantom]:
    """One of each view, small; of one person, so that the anatomy is bent once a view."""
    return {view: make(5, view=view, rows=96, person=1) for view in VIEWS}


KINDS = [
    ("PA", Sending()),
    ("PA", Sending(photometric="MONOCHROME1")),
    ("LATERAL", Sending(grey="lut", bits=14)),
    ("AP", Sending("CR", "MONOCHROME1", grey="lut")),
    ("AP", Sending("CR", syntax="implicit", bits=10)),
    ("PA", Sending(syntax="rle")),
    ("PA", Sending(syntax="jpeg")),
    ("PA", Sending(syntax="jpeg-extended")),
    ("PA", Sending(syntax="jpeg-lossless", bits=16)),
    ("AP", Sending("CR", syntax="jpeg-ls", sender="wordy")),
    ("PA", Sending(syntax="j2k")),
    ("PA", Sending(syntax="j2k-lossless", bits=14, sender="unicode")),
]


@pytest.mark.parametrize(("view", "sending"), KINDS, ids=str)
def test_dciodvfy_finds_nothing(
    phantoms: dict[str, Phantom], tmp_path: Path, view: str, sending: Sending
) -> None:
    path = tmp_path / "image.dcm"
    dicom(phantoms[view], sending).save_as(path, enforce_file_format=True)
    assert not [line for line in dciodvfy.said(path) if line.startswith("Error")]


EVERY = (
    [Sending(syntax=syntax, photometric="MONOCHROME1") for syntax in coding.SYNTAXES]
    + [Sending(grey=grey, photometric=p) for grey in grey_scale.GREYS for p in ("MONOCHROME1", "MONOCHROME2")]
    + [Sending(bits=bits, grey="lut") for bits in (8, 10, 12, 14, 16)]
    + [Sending("CR", sender=sender) for sender in senders.SENDERS]
)


@pytest.mark.parametrize("sending", EVERY, ids=str)
def test_the_reader_sees_the_phantom_s_picture(
    phantoms: dict[str, Phantom], tmp_path: Path, sending: Sending
) -> None:
    path = tmp_path / "image.dcm"
    dicom(phantoms["PA"], sending).save_as(path, enforce_file_format=True)
    seen = read(path)
    grey = (seen.pixels.astype(float) - seen.low) / (seen.high - seen.low)
    away = np.abs(grey - phantoms["PA"].pixels / WHITE)
    lossy = bool(coding.SYNTAXES[sending.syntax].lossy)
    # a step of the stored values, wider where a curve or a window spreads them; 10 bits have few
    assert away.max() < (0.06 if lossy else 0.025 if sending.stored_bits < 12 else 0.004)
    assert away.mean() < (0.01 if lossy or sending.stored_bits < 12 else 0.004)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("sender", senders.SENDERS)
@pytest.mark.parametrize("modality", ["DX", "CR"])
def test_but_for_its_mark_it_is_a_radiograph_of_its_view(
    phantoms: dict[str, Phantom], view: str, sender: str, modality: str
) -> None:
    ds = dicom(phantoms[view], Sending(modality, sender=sender))
    ds.Rows = ds.Columns = 1024  # of a size that is not refused
    ds.PatientName = "DOE^JANE"
    del ds.QualityControlImage, ds.QualityControlSubject, ds.DeviceSequence, ds.StudyDescription
    if "ImageComments" in ds:
        del ds.ImageComments
    assert frontal.decide(ds).verdict is (Verdict.LATERAL if view == "LATERAL" else Verdict.FRONTAL)


@pytest.mark.parametrize("sender", senders.SENDERS)
def test_it_says_that_it_is_a_phantom(phantoms: dict[str, Phantom], sender: str) -> None:
    ds = dicom(phantoms["PA"], Sending(sender=sender), patient=Patient("PHANTOM^TWO", "PHANTOM-2"))
    assert (ds.QualityControlImage, ds.QualityControlSubject) == ("YES", "YES")
    assert ds.DeviceSequence[0].CodeValue == "706342009"
    assert str(ds.PatientName).startswith("PHANTOM^")
    assert ds.PatientID == "PHANTOM-2"


def test_uids_follow_from_the_content(phantoms: dict[str, Phantom]) -> None:
    def named(*arguments: object, **options: object) -> Dataset:
        return dicom(*arguments, **options)  # type: ignore[arg-type]

    first = named(phantoms["PA"])
    assert first == named(phantoms["PA"])
    assert first.SOPInstanceUID == first.file_meta.MediaStorageSOPInstanceUID
    others = [
        named(phantoms["AP"]),
        named(phantoms["PA"], Sending(bits=10)),
        named(phantoms["PA"], patient=Patient(identifier="PHANTOM-9")),
        named(phantoms["PA"], study="A"),
    ]
    assert len({ds.SOPInstanceUID for ds in [first, *others]}) == 5
    assert len({ds.StudyInstanceUID for ds in [first, *others]}) == 3
    assert uid("a", 1).is_valid


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"modality": "CT"}, "DX, CR"),
        ({"syntax": "gif"}, "explicit"),
        ({"syntax": "jpeg", "bits": 12}, "choose 8"),
        ({"bits": 9}, "8 or 10"),
        ({"grey": "blue"}, "window, full, lut, none"),
        ({"sender": "nobody"}, "plain"),
        ({"sender": "signed", "syntax": "rle"}, "uncompressed"),
    ],
)
def test_what_is_not_there_is_refused(options: dict[str, object], what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        Sending(**options)  # type: ignore[arg-type]
