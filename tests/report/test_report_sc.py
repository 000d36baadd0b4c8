"""The Secondary Capture: the overlay bit for bit, and what a program must know of it."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
import report_cases as cases
from pydicom import Dataset, dcmread

from xrv_node import report
from xrv_node.report import read_back, summary
from xrv_node.report.located import settled
from xrv_node.report.overlay import overlay
from xrv_node.values import ImageOutcome, Style


def built(image: ImageOutcome) -> Dataset:
    (result,) = report.build(cases.outcome(image), ["sc"])
    return dcmread(BytesIO(report.to_bytes(result.dataset)))


@pytest.mark.parametrize(("rows", "columns"), [(120, 96), (121, 95)])
def test_the_picture_comes_back_bit_for_bit(rows: int, columns: int, tmp_path: Path) -> None:
    image = cases.frontal(cases.header(rows=rows, columns=columns))
    shown = settled(image).analysis
    assert shown is not None
    expected = overlay(shown, summary.quality(image))
    made = built(image)
    source, pixels = read_back.picture(made)
    assert source == image.header.SOPInstanceUID
    np.testing.assert_array_equal(pixels, expected)
    path, shown = tmp_path / "sc.dcm", tmp_path / "sc.ppm"
    path.write_bytes(report.to_bytes(made))
    assert cases.tool("dcmj2pnm", path, shown).returncode == 0
    np.testing.assert_array_equal(cv2.cvtColor(cv2.imread(str(shown)), cv2.COLOR_BGR2RGB), expected)


def test_it_claims_what_is_true() -> None:
    header = cases.header(LossyImageCompression="01", LossyImageCompressionRatio="12.5")
    made = built(cases.frontal(header))
    assert made.ImageType == ["DERIVED", "SECONDARY"]
    assert made.ConversionType == "WSD"
    assert made.BurnedInAnnotation == "YES"
    assert made.BodyPartExamined == "CHEST"
    assert made["PatientOrientation"].is_empty  # tiles and a panel have none, whatever the source's is
    assert "PixelSpacing" not in made
    assert "ImagerPixelSpacing" not in made
    assert (made.LossyImageCompression, made.LossyImageCompressionRatio) == ("01", 12.5)
    (source,) = made.SourceImageSequence
    assert source.ReferencedSOPInstanceUID == header.SOPInstanceUID
    assert source.ReferencedSOPClassUID == header.SOPClassUID
    assert source.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
    assert "LossyImageCompression" not in built(cases.frontal(cases.header()))


def test_every_answered_image_has_one_with_findings_or_without() -> None:
    several = cases.outcome(
        cases.frontal(cases.header(number=1), scores={}),
        ImageOutcome(cases.header(number=2), cases.LATERAL),
        cases.frontal(cases.header(number=3)),
    )
    made = [r.dataset.SourceImageSequence[0].ReferencedSOPInstanceUID for r in report.build(several, ["sc"])]
    assert made == [several.images[0].header.SOPInstanceUID, several.images[2].header.SOPInstanceUID]


def test_an_analysis_of_before_pictures_were_kept_has_none() -> None:
    image = cases.frontal(cases.header())
    assert image.analysis is not None
    old = replace(image, analysis=replace(image.analysis, picture=None, maps=None))
    assert report.build(cases.outcome(old), ["sc", "pm"]) == []


def test_the_language_is_the_destination_s() -> None:
    study = cases.outcome(cases.frontal(cases.header()))
    made = {language: report.build(study, ["sc"], Style(language))[0].dataset for language in ("en", "de")}
    assert made["de"].SeriesDescription.startswith("KI-Bild")
    assert made["de"].SOPInstanceUID != made["en"].SOPInstanceUID
