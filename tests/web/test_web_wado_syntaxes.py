"""WADO-RS on every transfer syntax that the node reads: as stored, as the default, frames and pictures."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
)
from wado_site import CODED, NATIVE, WebSite, path, running, scene, small

from xrv_node.radiograph.syntaxes import LOSSY, PROCESSES

ALL = (*NATIVE, *CODED)
FRAMES = np.stack([scene(), scene()[::-1], scene()[:, ::-1]])
PLAIN = f"application/dicom; transfer-syntax={ExplicitVRLittleEndian}"
OCTETS = "multipart/related; type=application/octet-stream"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[WebSite]:
    with running(tmp_path_factory.mktemp("wado"), empty_database) as made:
        for number, syntax in enumerate(ALL, 1):
            made.keep(one(number, syntax), syntax)
            made.keep(several(number, syntax), syntax)
        yield made


def one(number: int, syntax: str) -> Dataset:
    """An image of one frame."""
    return small(number, number, scene(bits=8).astype(np.uint8) if syntax == JPEGBaseline8Bit else scene())


def several(number: int, syntax: str) -> Dataset:
    """An image of three."""
    pixels = (FRAMES >> 4).astype(np.uint8) if syntax == JPEGBaseline8Bit else FRAMES
    return small(100 + number, number, pixels)


def stored(dataset: Dataset) -> np.ndarray:
    """Its pixels."""
    frames = (int(dataset.get("NumberOfFrames", 1)), dataset.Rows, dataset.Columns)
    return np.frombuffer(dataset.PixelData, f"<u{dataset.BitsAllocated // 8}").reshape(frames)


def off(found: np.ndarray, dataset: Dataset, syntax: str) -> int:
    """How far pixels are off, beyond what the encoder loses."""
    loss = 40 if syntax in LOSSY else 0
    return max(int(np.abs(found.astype(int) - stored(dataset).reshape(found.shape)).max()) - loss, 0)


def test_every_syntax_that_is_read_is_here() -> None:
    assert set(CODED) == set(PROCESSES)


@pytest.mark.parametrize(
    ("number", "syntax"), list(enumerate(ALL, 1)), ids=lambda value: getattr(value, "name", None)
)
def test_an_object_comes_as_it_is_stored_and_as_the_default(site: WebSite, number: int, syntax: str) -> None:
    for dataset in (one(number, syntax), several(number, syntax)):
        anything = 'multipart/related; type="application/dicom"; transfer-syntax=*'
        ((media_type, data),) = site.ask(path(dataset), Accept=anything).parts
        never = syntax in (ImplicitVRLittleEndian, ExplicitVRBigEndian)
        assert media_type == (PLAIN if never else f"application/dicom; transfer-syntax={syntax}")
        assert dcmread(BytesIO(data)).file_meta.TransferSyntaxUID == media_type.rpartition("=")[2]
        for accept in ("*/*", "application/dicom"):
            answer = site.ask(path(dataset), Accept=accept)
            ((media_type, data),) = answer.parts if accept == "*/*" else [(answer.type, answer.body)]
            assert media_type == (
                f"application/dicom; transfer-syntax={syntax}" if syntax in LOSSY else PLAIN
            )
            back = dcmread(BytesIO(data))
            assert back.PatientName == dataset.PatientName
            if syntax not in LOSSY:
                assert back.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
                assert np.array_equal(back.pixel_array.reshape(stored(dataset).shape), stored(dataset))
        answer = site.ask(path(dataset), Accept=PLAIN)
        back = dcmread(BytesIO(answer.body))
        assert back.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        assert off(back.pixel_array, dataset, syntax) == 0


@pytest.mark.parametrize(
    ("number", "syntax"), list(enumerate(ALL, 1)), ids=lambda value: getattr(value, "name", None)
)
def test_frames_come_as_they_are_stored_and_without_compression(
    site: WebSite, number: int, syntax: str
) -> None:
    dataset = several(number, syntax)
    parts = site.ask(f"{path(dataset)}/frames/3,1", Accept=f"{OCTETS}, */*; q=0.1").parts
    assert {media_type for media_type, _ in parts} == {
        f"application/octet-stream; transfer-syntax={ExplicitVRLittleEndian}"
    }
    kind = stored(dataset).dtype
    for index, (_, data) in zip((2, 0), parts, strict=True):
        frame = np.frombuffer(data, kind).reshape(24, 20)
        assert np.abs(frame.astype(int) - stored(dataset)[index]).max() <= (40 if syntax in LOSSY else 0)
    ((media_type, data),) = site.ask(f"{path(dataset)}/frames/2", Accept=f"{OCTETS}; transfer-syntax=*").parts
    if syntax in NATIVE:
        assert media_type.endswith(ExplicitVRLittleEndian)
        assert data == stored(dataset)[1].tobytes()
    else:
        assert media_type == f"application/octet-stream; transfer-syntax={syntax}"
        codestream = bytes(CODED[syntax](stored(dataset)[1]))
        assert data == codestream + bytes(len(codestream) % 2)
        single = site.ask(f"{path(dataset)}/frames/2", Accept="image/*")
        assert single.type.startswith("image/")
        assert single.body == data


@pytest.mark.parametrize(
    ("number", "syntax"), list(enumerate(ALL, 1)), ids=lambda value: getattr(value, "name", None)
)
def test_pictures(site: WebSite, number: int, syntax: str) -> None:
    dataset = one(number, syntax)
    answer = site.ask(f"{path(dataset)}/rendered", Accept="image/png")
    assert (answer.status, answer.type) == (200, "image/png")
    shown = cv2.imdecode(np.frombuffer(answer.body, np.uint8), cv2.IMREAD_UNCHANGED)
    expected = stored(dataset)[0] / ((1 << dataset.BitsStored) - 1) * 255
    assert np.abs(shown - expected).max() <= (3 if syntax in LOSSY else 1)
    third = site.ask(f"{path(several(number, syntax))}/frames/3/rendered", Accept="image/png")
    mirrored = cv2.imdecode(np.frombuffer(third.body, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.abs(mirrored[:, ::-1].astype(int) - shown).max() <= (5 if syntax in LOSSY else 1)


def test_deflated_results_are_sent_as_they_are_where_that_is_taken(site: WebSite) -> None:
    number = ALL.index(DeflatedExplicitVRLittleEndian) + 1
    dataset = one(number, DeflatedExplicitVRLittleEndian)
    accept = f"application/dicom; transfer-syntax={DeflatedExplicitVRLittleEndian}"
    answer = site.ask(path(dataset), Accept=accept)
    assert answer.type == accept
    assert dcmread(BytesIO(answer.body)).PixelData == dataset.PixelData
