"""Studies of every kind of source, and the character sets of their names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from typing import Any

import report_cases as cases
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from xrv_node.reasons import as_is
from xrv_node.result_kinds import KINDS
from xrv_node.values import ImageOutcome, Predecessor, StudyOutcome

ALL = tuple(KINDS)
LONG = "Wolfeschlegelsteinhausenbergerdorff^Hubert Blaine Adolph Charles"
JAPANESE: dict[str, Any] = {
    "SpecificCharacterSet": ["", "ISO 2022 IR 87"],
    "PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう",
}
KOREAN: dict[str, Any] = {
    "SpecificCharacterSet": ["", "ISO 2022 IR 149"],
    "PatientName": "Hong^Gildong=洪^吉洞=홍^길동",
}
UTF8: dict[str, Any] = {
    "SpecificCharacterSet": "ISO_IR 192",
    "PatientName": "Ωμέγα^Ζωή",
    "StudyDescription": "Θώρακας",
}
LATIN: dict[str, Any] = {
    "SpecificCharacterSet": "ISO_IR 100",
    "PatientName": "Müller^Zoë",
    "StudyDescription": "Röntgen Thorax",
}


OTHERS = {
    # defined terms of PS3.3 C.12.1.1.2 that are not above, with a name in each
    "central european": ("ISO_IR 101", "Dvořák^Antonín"),
    "south european": ("ISO_IR 109", "Ċaruana^Ġorġ"),
    "north european": ("ISO_IR 110", "Bērziņš^Jānis"),
    "cyrillic": ("ISO_IR 144", "Иванов^Иван"),
    "arabic": ("ISO_IR 127", "قباني^نزار"),
    "greek": ("ISO_IR 126", "Διονυσιος^Ζωή"),
    "hebrew": ("ISO_IR 138", "שרון^דבורה"),
    "turkish": ("ISO_IR 148", "Çelik^İpek"),
    "thai": ("ISO_IR 166", "นามสกุล^ชื่อ"),
    "katakana": ("ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
    "japanese, supplementary": (["", "ISO 2022 IR 87", "ISO 2022 IR 159"], "Yamada^Tarou=丂^太郎"),
    "chinese, 2022": (["", "ISO 2022 IR 58"], "Wang^XiaoDong=王^小东"),
    "chinese, gb18030": ("GB18030", "Wang^XiaoDong=王^小东"),
    "chinese, gbk": ("GBK", "Wang^XiaoDong=王^小东"),
}

UNREAD = ("katakana", "chinese, gbk")
"""Character sets that dciodvfy takes for ASCII."""


def bare() -> Dataset:
    """A header with nothing but what intake insists on."""
    made = Dataset()
    full = cases.header("CR")
    for keyword in (
        "SOPClassUID",
        "SOPInstanceUID",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "Rows",
        "Columns",
    ):
        setattr(made, keyword, full[keyword].value)
    return made


def one(**changes: Any) -> Callable[[], StudyOutcome]:
    return lambda: cases.outcome(cases.frontal(cases.header(rows=121, columns=95, **changes)))


def requested(**changes: Any) -> Dataset:
    """A header that tells of the order behind the image."""
    made, asked, code = cases.header(**changes), Dataset(), Dataset()
    made.PlacerOrderNumberImagingServiceRequest = "P-77"
    asked.RequestedProcedureID, asked.RequestedProcedureDescription = "RP-5", "Thorax p.a., Ergu\xdf?"
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "36643-5", "LN", "XR Chest 2 Views"
    asked.RequestedProcedureCodeSequence = [code]
    made.RequestAttributesSequence = [asked]
    return made


def phantom() -> StudyOutcome:
    models = cases.model_set(phantom=True)
    return cases.outcome(cases.frontal(cases.header(), models), models=models)


CASES: dict[str, Callable[[], StudyOutcome]] = {
    "DX": one(),
    "CR": one(kind="CR"),
    "secondary capture": one(kind="OT"),
    "monochrome 1": one(PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE"),
    "nothing in the header": lambda: cases.outcome(cases.frontal(bare())),
    "no orientation": one(PatientOrientation=None),
    "empty orientation": one(PatientOrientation=""),
    "no spacing": one(ImagerPixelSpacing=None),
    "both spacings": one(PixelSpacing=["0.14", "0.14"]),
    "spacing of zero": one(ImagerPixelSpacing=["0", "0"]),
    "no dates": one(StudyDate=None, StudyTime=None, PatientBirthDate=None),
    "no sex, no age": one(PatientSex=None, PatientAge=None),
    "age that breaks its VR": one(PatientAge="68"),
    "long name": one(PatientName=LONG, StudyDescription="Chest, two views, standing, " * 2),
    "latin": one(**LATIN),
    "japanese": one(**JAPANESE),
    "korean": one(**KOREAN),
    "utf-8": one(**UTF8),
    "no character set": one(SpecificCharacterSet=None),
    **{
        name: one(SpecificCharacterSet=charset, PatientName=words)
        for name, (charset, words) in OTHERS.items()
    },
    "on its side": one(PatientOrientation=["F", "R"]),
    "mirrored": one(PatientOrientation=["R", "F"]),
    "monochrome 1, secondary capture, nothing known": one(
        kind="OT",
        PhotometricInterpretation="MONOCHROME1",
        PatientOrientation=None,
        ImagerPixelSpacing=None,
        StudyDate=None,
        PatientSex=None,
        PatientAge=None,
        PatientBirthDate=None,
    ),
    "frame of reference": one(FrameOfReferenceUID="1.2.3.4", PositionReferenceIndicator=""),
    "time zone": one(TimezoneOffsetFromUTC="-0330"),
    "phantom": phantom,
    "requested": lambda: cases.outcome(cases.frontal(requested())),
    "an object of an unknown class beside it": lambda: cases.outcome(
        ImageOutcome(cases.header(number=2, SOPClassUID="1.3.6.1.4.1.9999.1"), cases.LATERAL),
        cases.frontal(cases.header()),
    ),
    "several frontals": lambda: cases.outcome(
        cases.frontal(cases.header(number=1)),
        cases.frontal(cases.header("CR", number=2), scores={"Mass": 0.7}),
        cases.frontal(cases.header(number=3), scores={}),
    ),
    "no findings": lambda: cases.outcome(cases.frontal(cases.header(), scores={})),
    "one failed": lambda: cases.outcome(
        cases.frontal(cases.header()),
        ImageOutcome(cases.header(number=2), cases.FRONTAL, error=as_is("the pixel data ends too early")),
    ),
    "nothing analysed": lambda: cases.outcome(ImageOutcome(cases.header(), cases.LATERAL)),
    "only failures": lambda: cases.outcome(
        ImageOutcome(cases.header(), cases.FRONTAL, error=as_is("out of memory"))
    ),
    "predecessor": lambda: replace(
        one()(),
        predecessors={
            k: Predecessor("1.2.840.10008.5.1.4.1.1.88.22", "1.2.3", "1.2.4", "1.2.5") for k in ALL
        },
    ),
}


def from_file(header: Dataset) -> Dataset:
    """The header as it comes from a file: undecoded until somebody looks."""
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = BytesIO()
    header.save_as(buffer, enforce_file_format=True)
    return dcmread(BytesIO(buffer.getvalue()))


def raw(dataset: Dataset, keyword: str) -> object:
    return from_file(dataset).get_item(keyword).value
