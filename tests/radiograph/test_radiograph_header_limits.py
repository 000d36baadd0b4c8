"""What is modest in a header comes as pydicom reads it, however it is written; what is beyond a limit is not there."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made import radiograph
from pydicom import Dataset, dcmread
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from xrv_node.radiograph import header_limits
from xrv_node.radiograph.header import read_header, read_object
from xrv_node.radiograph.header_limits import passed_over

SYNTAXES = (
    ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian,
)  # fmt: skip
TEXT = st.text(st.characters(codec="ascii", min_codepoint=32), max_size=20)
SEQUENCES = ("ViewCodeSequence", "ViewModifierCodeSequence", "OtherPatientIDsSequence", "SourceImageSequence")


@st.composite
def datasets(draw: st.DrawFn, depth: int = 3) -> Dataset:
    """Some text, a binary value, and sequences within each other, with lengths and with delimiters."""
    made = Dataset()
    if draw(st.booleans()):
        made.CodeMeaning = draw(TEXT)
    if draw(st.booleans()):
        made.ReferencedFrameNumber = draw(st.lists(st.integers(0, 999), max_size=5))
    if draw(st.booleans()):
        made.add_new(0x00287FE1, "OB", draw(st.binary(max_size=40).filter(lambda b: len(b) % 2 == 0)))
    if depth and draw(st.booleans()):
        keyword = draw(st.sampled_from(SEQUENCES))
        setattr(made, keyword, Sequence(draw(st.lists(datasets(depth=depth - 1), max_size=3))))
        made[keyword].is_undefined_length = draw(st.booleans())
        for item in made[keyword].value:
            item.is_undefined_length_sequence_item = draw(st.booleans())
    return made


def written(made: Dataset, path: Path, syntax: str) -> Path:
    made.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian:
        made.PixelData = made.PixelData[::-1]
    made.save_as(path, enforce_file_format=True)
    return path


@given(datasets(), st.sampled_from(SYNTAXES))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_comes_as_pydicom_reads_it(tmp_path: Path, more: Dataset, syntax: str) -> None:
    made = radiograph()
    made.update(more)
    path = written(made, tmp_path / "object.dcm", syntax)
    theirs = dcmread(path)
    assert read_object(path) == theirs
    del theirs.PixelData
    ours = read_header(path)
    assert ours == theirs
    assert not passed_over(ours)


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("undefined", [True, False])
def test_what_is_too_much_is_left_out_in_every_encoding(tmp_path: Path, syntax: str, undefined: bool) -> None:
    made = radiograph()
    items = [Dataset() for _ in range(header_limits.MAX_PIECES + 1)]
    made.OtherPatientIDsSequence = Sequence(items)
    made["OtherPatientIDsSequence"].is_undefined_length = undefined
    for item in items:
        item.is_undefined_length_sequence_item = undefined
    path = written(made, tmp_path / "object.dcm", syntax)
    for reader in (read_header, read_object):
        found = reader(path)
        assert {tag for tag in passed_over(found)} == {0x00101002}
        assert "OtherPatientIDsSequence" not in found
        assert (found.PatientAge, found.Rows) == ("066Y", 300)


def test_a_header_without_limits_passed_has_nothing_passed_over() -> None:
    assert passed_over(dcmread(io.BytesIO(b"\0" * 128 + b"DICM"), force=True)) == frozenset()
