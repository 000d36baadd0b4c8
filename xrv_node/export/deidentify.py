"""One object, de-identified by the profile: every element, at every depth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pydicom import DataElement, Dataset, config
from pydicom.datadict import keyword_for_tag, tag_for_keyword
from pydicom.dataset import FileMetaDataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID

from xrv_node import product
from xrv_node.attributes import codes as coded
from xrv_node.attributes import text
from xrv_node.export import remains
from xrv_node.export.confidentiality import Action, Cleaned, Options, declare, profile
from xrv_node.export.names import Names

REMOVED = "REMOVED"
"""In the place of text; also a code string (CS)."""
_DUMMIES: dict[str, object] = {
    "AS": "000Y", "DA": "19000101", "DT": "19000101000000", "TM": "000000", "DS": "0", "IS": "0",
    "UR": "http://removed.invalid",
    **dict.fromkeys(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT"), REMOVED),
    **dict.fromkeys(("FD", "FL"), 0.0), **dict.fromkeys(("US", "SS", "UL", "SL", "UV", "SV"), 0),
    **dict.fromkeys(("OB", "OW", "OD", "OF", "OL", "OV", "UN"), b"\0\0"),
}  # fmt: skip
_OLDEST = 89
"""Years: older people are few enough to be known by their age (45 CFR 164.514 (b)(2)(i)(C))."""
_DATES, _CURVES_AND_OVERLAYS = ("DA", "DT", "TM"), (0x5000, 0x6000)
_PATIENT = (Tag("PatientID"), Tag("PatientName"))
_TEXT, _AGE, _MEANING = Tag("TextValue"), Tag("PatientAge"), Tag("CodeMeaning")
_OWN_SCHEME = "99XRV"


def deidentify(dataset: Dataset, names: Names, options: Options, *, own: bool = False) -> None:
    """Take from an object what identifies a patient, and record that in it; in place.

    Parameters
    ----------
    dataset
        With file meta information, of which only the transfer syntax is kept.
    own
        Whether it is a result of this node: then its structured content and its marks are cleaned item by
        item, where the basic profile would have them replaced as a whole.

    Raises
    ------
    Exception
        What pydicom raises of an object that is damaged, which has no class in common.
    """
    said = remains.identifying(dataset)
    patient = names.patient(dataset)
    work = _Work(names, options, patient, names.dates(patient), own)
    dataset.walk(work)
    dataset.PatientID = dataset.PatientName = patient
    remains.take_out(dataset, said, REMOVED, structure=own)
    declare(dataset, options, sorted(work.cleaned))
    dataset.file_meta = _file_meta(dataset, dataset.file_meta.TransferSyntaxUID)
    dataset.preamble = b"\0" * 128  # anything may stand there (PS3.10 7.1)


@dataclass
class _Work:
    """What is done to each element: pydicom calls it on the way down."""

    names: Names
    options: Options
    patient: str
    move: Callable[[Dataset, DataElement], bool]
    own: bool
    cleaned: set[Cleaned] = field(default_factory=set)

    def __call__(self, item: Dataset, element: DataElement) -> None:
        tag = element.tag
        if _has_no_place(tag) or (self.own and tag in profile().removed):
            del item[tag]
        elif tag in _PATIENT:
            element.value = self.patient
        elif self.own and (what := profile().cleaned.get(tag)):
            self.cleaned.add(what)
        elif self.own and tag == _TEXT:
            element.value = element.value if _is_own_text(item) else REMOVED
        elif self.options.patient_characteristics and tag in profile().characteristics:
            element.value = _capped(str(element.value)) if tag == _AGE else element.value
        elif element.VR in _DATES:
            self._date(item, element)
        elif (action := profile().actions.get(tag)) is not None:
            self._take(action, item, element)
        elif element.VR == "PN":
            element.value = ""
        elif element.VR == "UI":
            if "ClassUID" not in element.keyword and "SyntaxUID" not in element.keyword:
                self._uid(element)
        elif tag == _MEANING and _is_local(item):
            element.value = REMOVED

    def _take(self, action: Action, item: Dataset, element: DataElement) -> None:
        if action in ("U", "D") and element.VR == "UI":
            self._uid(element)
        elif action == "U*" and element.VR == "SQ":
            return  # its items come next
        elif element.VR == "SQ" and (action == "Z" or (action == "D" and self.own)):
            element.value = []  # of D a dummy item would be empty; documents must have some of these
        elif action == "Z":
            element.value = None
        elif action == "D" and element.VR in _DUMMIES:
            element.value = _DUMMIES[element.VR]
        else:
            del item[element.tag]

    def _uid(self, element: DataElement) -> None:
        values = element.value if element.VM > 1 else [element.value]
        if element.value:
            element.value = [self.names.uid(str(value)) for value in values]

    def _date(self, item: Dataset, element: DataElement) -> None:
        """Move it with the time that belongs to it; where that is not wanted, or it is no date, both go by
        the table."""
        partner = _partner(item, element)
        if self.options.modified_dates and element.tag not in profile().not_dates:
            if element.VR == "TM" and partner is not None and partner.value:
                return  # moves with its date
            if element.VR != "TM" and self._moved(item if partner is not None else Dataset(), element):
                return
        self._take(profile().actions.get(element.tag, "Z"), item, element)
        if element.VR == "DA" and partner is not None:
            partner.value = None

    def _moved(self, item: Dataset, element: DataElement) -> bool:
        """Whether it is a date, and moved with its time in the item, if that has one."""
        known = "StudyDate" if element.VR == "DA" and not len(item) else element.keyword
        stand_in = DataElement(known, element.VR, element.value, validation_mode=config.IGNORE)
        try:
            self.move(item, stand_in)
        except (ValueError, OverflowError):
            return False
        element.value = stand_in.value
        return True


def _partner(item: Dataset, element: DataElement) -> DataElement | None:
    """The time of a date, the date of a time."""
    words = {"DA": ("Date", "Time"), "TM": ("Time", "Date")}.get(element.VR)
    tag = tag_for_keyword(element.keyword.replace(*words)) if words else None
    found = None if tag is None or tag == element.tag else item.get(tag)
    return found if found is not None and found.VR in {"DA", "TM"} - {element.VR} else None


def _has_no_place(tag: BaseTag) -> bool:
    """Private, of a curve or an overlay, the length of a group, or in no dictionary."""
    group = tag.group & 0xFF00
    return tag.is_private or group in _CURVES_AND_OVERLAYS or tag.element == 0 or not keyword_for_tag(tag)


def _is_own_text(item: Dataset) -> bool:
    return any(code.name in profile().texts for code in coded(item, "ConceptNameCodeSequence"))


def _is_local(item: Dataset) -> bool:
    """Whether a code is a site's own (PS3.16 section 8.2): its meaning is what somebody typed."""
    scheme = text(item, "CodingSchemeDesignator")
    return scheme == "L" or (scheme.startswith("99") and scheme != _OWN_SCHEME)


def _capped(age: str) -> str:
    years = age[:3]
    return "090Y" if age.endswith("Y") and years.isdecimal() and int(years) > _OLDEST else age


def _file_meta(dataset: Dataset, transfer_syntax: str) -> FileMetaDataset:
    """Anew: what came names who sent it."""
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = (
        dataset.SOPClassUID,
        dataset.SOPInstanceUID,
    )
    meta.TransferSyntaxUID = UID(transfer_syntax)
    meta.ImplementationClassUID = UID(product.IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = product.IMPLEMENTATION_VERSION_NAME
    return meta
