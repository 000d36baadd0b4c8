"""The protocol on paper, to be signed; and as an object for the archive."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import Any
from xml.sax.saxutils import escape

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, EncapsulatedPDFStorage, ExplicitVRLittleEndian
from reportlab.lib import colors
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, KeepTogether, Paragraph, Spacer, Table

from xrv_node import product
from xrv_node.acceptance import wording
from xrv_node.acceptance.protocol import Protocol
from xrv_node.report.paper import (
    BODY,
    BOLD,
    HEADING,
    HEADLINE,
    TITLE,
    WARNING,
    WIDTH,
    document,
    drawable,
    grid,
)

_SIGNATURE = 12 * mm
_COLOURS = {"good": colors.darkgreen, "look": colors.saddlebrown, "bad": colors.firebrick}
_SHARES = (0.16, 0.1, 0.09, 0.2, 0.13, 0.1, 0.22)
"""Of the width, the columns of the table of cases."""


def render(protocol: Protocol) -> bytes:
    """Set the protocol: the same one gives the same bytes."""
    return document(
        list(_story(protocol)),
        wording.TITLE,
        lambda number: f"{wording.WARNING}  {number}",
        "en",
    )


def encapsulated(protocol: Protocol, pdf: bytes) -> Dataset:
    """Return the protocol as an Encapsulated PDF (PS3.3 A.45.1): a study of its own, of no patient.

    Parameters
    ----------
    protocol
        Its date is the object's.
    pdf
        As `render` has it.
    """
    began = protocol.header.began
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 192"
    made.SOPClassUID, made.SOPInstanceUID = EncapsulatedPDFStorage, _uid()
    made.StudyInstanceUID, made.SeriesInstanceUID = _uid(), _uid()
    made.PatientName, made.PatientID = "PHANTOM^ACCEPTANCE", "ACCEPTANCE"
    made.PatientBirthDate = made.PatientSex = made.ReferringPhysicianName = made.AccessionNumber = ""
    made.QualityControlSubject = "YES"
    made.StudyID, made.SeriesNumber, made.InstanceNumber = began.strftime("%Y%m%d%H%M%S"), 1, 1
    made.StudyDescription = made.SeriesDescription = "Acceptance test"
    made.StudyDate = made.ContentDate = made.SeriesDate = began.strftime("%Y%m%d")
    made.StudyTime = made.ContentTime = made.SeriesTime = began.strftime("%H%M%S")
    made.AcquisitionDateTime = ""
    made.Modality, made.ConversionType = "DOC", "WSD"
    made.Manufacturer, made.ManufacturerModelName = product.MANUFACTURER, product.MODEL_NAME
    made.SoftwareVersions, made.DeviceSerialNumber = product.VERSION, "acceptance"
    made.BurnedInAnnotation = made.RecognizableVisualFeatures = "NO"
    made.DocumentTitle = wording.TITLE[:64]
    made.ConceptNameCodeSequence = []
    made.MIMETypeOfEncapsulatedDocument = "application/pdf"
    made.EncapsulatedDocumentLength = len(pdf)
    made.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    return made


def _uid() -> UID:
    return UID(f"2.25.{uuid.uuid4().int}")


def _story(protocol: Protocol) -> Iterator[Flowable]:
    yield Paragraph(wording.TITLE, TITLE)
    yield Paragraph(escape(wording.WARNING), WARNING)
    yield Paragraph(wording.verdict(protocol), HEADLINE)
    checks = [[check.name, _verdict(check.good), check.says] for check in protocol.checks]
    yield _table([["What", "Verdict", "Found"], *checks], (0.25, 0.1, 0.65))
    yield Paragraph(wording.PURPOSE, BODY)
    yield Paragraph("Tried", HEADING)
    yield _table([list(pair) for pair in wording.fields(protocol)], (0.25, 0.75), heading=False)
    yield Paragraph("Cases", HEADING)
    yield _cases(protocol)
    yield Paragraph(wording.LIMITS, BODY)
    yield Paragraph(wording.STOP, BODY)
    yield KeepTogether([Paragraph("Signatures", HEADING), *_signatures()])
    yield Paragraph("Identifiers", HEADING)
    for line in wording.lines(protocol):
        yield Paragraph(escape(f"{line.name}: {', '.join(line.identifiers)}"), BODY)


def _cases(protocol: Protocol) -> Flowable:
    heads = ["Case", "Verdict", "Sent", "Expected", "Arrived", "Seconds", "Measured, and what was amiss"]
    lines = wording.lines(protocol)
    rows = [
        [
            line.name, line.verdict, line.sent, line.expected, line.arrived, line.seconds,
            "; ".join((*([line.measured] if line.measured else []), *line.amiss)),
        ]
        for line in lines
    ]  # fmt: skip
    tints = [(number, _COLOURS[wording.COLOURS[line.verdict]]) for number, line in enumerate(lines, 1)]
    return _table([heads, *rows], _SHARES, tints=tints)


def _signatures() -> Iterator[Flowable]:
    for name in wording.SIGNATURES:
        yield Spacer(1, _SIGNATURE)
        yield Paragraph(f"{name}: name, date, signature {'_' * 60}", BODY)


def _verdict(good: bool) -> str:
    return "pass" if good else "fail"


def _table(
    rows: Sequence[Sequence[str]],
    shares: Sequence[float],
    *,
    heading: bool = True,
    tints: Sequence[tuple[int, Any]] = (),
) -> Flowable:
    """A table whose first row, or else first column, is its heading; `tints` mark rows at their left edge."""
    set_ = [
        [
            Paragraph(
                escape(drawable(cell)),
                BOLD if (heading and not number) or (not heading and not place) else BODY,
            )
            for place, cell in enumerate(cells)
        ]
        for number, cells in enumerate(rows)
    ]
    style = grid() + [("LINEBEFORE", (0, row), (0, row), 2, colour) for row, colour in tints]
    return Table(set_, colWidths=[WIDTH * share for share in shares], style=style, repeatRows=int(heading))
