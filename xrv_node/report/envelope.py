"""What is around the content of every result object: patient, study, equipment, dates and UIDs.

highdicom builds the content. It is handed a *stand-in* for the source image, with no patient in it, because
its constructors refuse headers that real devices send (an unknown sex, a date with dots); `finish` then
writes what the source really says.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from xrv_node import product, verbatim
from xrv_node.attributes import text
from xrv_node.report import charset, codes, equipment, phrases, request, source, uids
from xrv_node.result_kinds import KINDS
from xrv_node.values import PHANTOM_WORDS, ImageOutcome, ModelSet, StudyOutcome

# Which run made the object and when: not part of what it says.
_NOT_CONTENT = (
    "SOPInstanceUID", "SeriesInstanceUID", "InstanceCreationDate", "InstanceCreationTime", "SeriesDate",
    "SeriesTime", "ContentDate", "ContentTime", "PresentationCreationDate", "PresentationCreationTime",
    "TimezoneOffsetFromUTC", "PredecessorDocumentsSequence",
)  # fmt: skip


_RADIOGRAPHS = {
    "1.2.840.10008.5.1.4.1.1.1",  # CR
    "1.2.840.10008.5.1.4.1.1.1.1",  # DX, for presentation
    "1.2.840.10008.5.1.4.1.1.1.1.1",  # DX, for processing
}
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def stand_in(header: Dataset, study_instance_uid: str) -> Dataset:
    """Return a header that refers to the source image and holds nothing about the patient.

    Parameters
    ----------
    header : Dataset
        The source's header; its SOP Instance UID is needed, the rest may be missing.
    study_instance_uid : str
        The study that is reported.

    Returns
    -------
    Dataset
        With the source's UIDs and Modality, and its SOP class if that is CR or DX, else Secondary Capture's;
        whether its pixels have been through lossy compression; patient and study attributes empty.
    """
    made = Dataset()
    sop_class = text(header, "SOPClassUID")
    # highdicom looks up what a class has, and fails on one that it does not know (private, retired): `finish`
    # puts the real one back.
    made.SOPClassUID = sop_class if sop_class in _RADIOGRAPHS else _SECONDARY_CAPTURE
    made.SOPInstanceUID = text(header, "SOPInstanceUID")
    made.StudyInstanceUID = study_instance_uid
    series = text(header, "SeriesInstanceUID")
    made.SeriesInstanceUID = series or uids.tracking_uid(made.SOPInstanceUID, "series")
    made.Modality = text(header, "Modality") or "OT"
    for keyword in source.ALWAYS:
        setattr(made, keyword, "" if keyword not in ("StudyDate", "StudyTime") else None)
    if text(header, "LossyImageCompression") == "01":  # once lossy, always (PS3.3 C.7.6.1.1.5)
        made.LossyImageCompression = "01"
        for keyword in ("LossyImageCompressionRatio", "LossyImageCompressionMethod"):
            if (element := source.valid(header, keyword)) is not None:
                made[keyword] = element
    return made


def stand_ins(outcome: StudyOutcome) -> list[Dataset]:
    """Return a `stand_in` for every image of a study, one for each SOP Instance UID."""
    return [stand_in(image.header, outcome.study_instance_uid) for image in _by_uid(outcome).values()]


def _by_uid(outcome: StudyOutcome) -> dict[str, ImageOutcome]:
    """The images; of two objects of one SOP Instance UID the one that was analysed."""
    images: dict[str, ImageOutcome] = {}
    for image in outcome.images:
        uid = text(image.header, "SOPInstanceUID")
        if uid not in images or image.analysis is not None:
            images[uid] = image
    return images


def placeholders() -> dict[str, Any]:
    """Return the arguments that highdicom's constructors must have and that `finish` replaces."""
    import highdicom as hd

    return {
        "series_instance_uid": hd.UID(),
        "series_number": 1,
        "sop_instance_uid": hd.UID(),
        "instance_number": 1,
        "manufacturer": equipment.MANUFACTURER,
    }


def image_placeholders(models: ModelSet) -> dict[str, Any]:
    """Return `placeholders` and what else the constructors of images must have."""
    return placeholders() | {
        "manufacturer_model_name": equipment.NAME,
        "software_versions": equipment.version(models),
        "device_serial_number": equipment.serial_number(models),
    }


def finish(
    made: Dataset,
    kind: str,
    outcome: StudyOutcome,
    header: Dataset,
    sources: Sequence[str],
    language: str = "en",
    subject: str = "",
) -> Dataset:
    """Turn what a builder made into a result object: the same input gives the same bytes.

    Parameters
    ----------
    made : Dataset
        SOP class and content; its UIDs, dates, patient and study are replaced.
    kind : str
        Key of `KINDS`.
    outcome : StudyOutcome
        Its ``closed_at`` dates the object. It is written in the source's time zone where the source states
        one (Timezone Offset From UTC applies to the copied study time too, PS3.3 C.12.1.1.8), else in its
        own.
    header : Dataset
        The source whose patient and study attributes, character set included, are taken as they are; the
        character set as `charset.settle` has it, where it does not hold what the object says.
    sources : sequence of str
        SOP Instance UIDs of the images that the object is about.
    language : str
        Of the Series Description.
    subject : str
        What tells this object from the others of its kind and image, for the Series Description.

    Returns
    -------
    Dataset
        Complete with file meta information, explicit VR little endian.
    """
    done = Dataset()
    done.update(made)
    classes = {uid: text(image.header, "SOPClassUID") for uid, image in _by_uid(outcome).items()}
    _restore_classes(done, {uid: real for uid, real in classes.items() if real not in _RADIOGRAPHS})
    copied = source.take(done, header)
    _describe(done, kind, outcome.model_set, language, subject)
    if kind == "report":
        request.name(done, header, outcome.study_instance_uid)
    if charset.settle(done, copied):
        verbatim.restore(done, verbatim.remembered(header), copied)
    _date(done, header, outcome.closed_at)
    content = uids.digest(element for element in done if element.keyword not in _NOT_CONTENT)
    named = (kind, sources, outcome.model_set.digest, content)
    done.SOPInstanceUID, done.SeriesInstanceUID = uids.result_uid(*named), uids.series_uid(*named)
    _precede(done, kind, outcome)
    done.file_meta = _file_meta(done)
    return done


def to_bytes(dataset: Dataset, *, deflated: bool = False) -> bytes:
    """Return the object as the bytes of a DICOM file (PS3.10), little endian with explicit VR.

    Parameters
    ----------
    dataset : Dataset
        With file meta information and uncompressed pixels; not changed.
    deflated : bool
        Whether the dataset is deflated (PS3.5 A.5). It is the same instance either way.
    """
    whole = Dataset()
    whole.update(dataset)
    whole.file_meta = FileMetaDataset()
    whole.file_meta.update(dataset.file_meta)
    whole.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian if deflated else ExplicitVRLittleEndian
    buffer = io.BytesIO()
    whole.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _restore_classes(item: Dataset, classes: dict[str, str]) -> None:
    """Write the real SOP classes into all references to images that `stand_in` took for Secondary
    Captures."""
    if not classes:
        return
    if item.get("ReferencedSOPInstanceUID") in classes:
        item.ReferencedSOPClassUID = classes[item.ReferencedSOPInstanceUID]
    for element in item:
        if element.VR == "SQ":
            for child in element.value:
                _restore_classes(child, classes)


def _describe(done: Dataset, kind: str, models: ModelSet, language: str, subject: str) -> None:
    series = KINDS[kind]
    done.SeriesNumber, done.InstanceNumber = series.series_number, 1
    # The content first: lists of series cut the rest off, and the kinds must still be told apart.
    content = " ".join(filter(None, (phrases.named("series", series.content, language), subject)))
    notice = PHANTOM_WORDS if models.phantom else phrases.say("research", language)
    if models.phantom and subject:  # at most 64 characters (LO)
        content = content.replace("heat ", "")
    done.SeriesDescription = f"{content} - {notice}"
    equipment.add_equipment(done, models)
    scheme = Dataset()
    scheme.CodingSchemeDesignator = codes.PRIVATE_SCHEME
    scheme.CodingSchemeName = "Codes of xrv-node"
    scheme.CodingSchemeResponsibleOrganization = equipment.MANUFACTURER
    done.CodingSchemeIdentificationSequence = [scheme]


def _date(done: Dataset, header: Dataset, closed_at: datetime) -> None:
    offset = text(header, "TimezoneOffsetFromUTC")
    if len(offset) == len("+hhmm") and offset[0] in "+-" and offset[1:].isdecimal():
        minutes = int(offset[1:3]) * 60 + int(offset[3:])
        if minutes < 24 * 60:
            zone = timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes))
            closed_at = closed_at.astimezone(zone)
    done.TimezoneOffsetFromUTC = closed_at.strftime("%z")[:5]
    presentation = ("PresentationCreation",) if "PresentationCreationDate" in done else ()
    for what in ("InstanceCreation", "Series", "Content", *presentation):
        setattr(done, f"{what}Date", closed_at.strftime("%Y%m%d"))
        setattr(done, f"{what}Time", closed_at.strftime("%H%M%S"))


def _precede(done: Dataset, kind: str, outcome: StudyOutcome) -> None:
    """Name the report that this one supersedes (PS3.3 table C.17-2); SR documents only."""
    earlier = outcome.predecessors.get(kind)
    if earlier is None or done.Modality != "SR" or earlier.sop_instance_uid == done.SOPInstanceUID:
        return
    instance, series, study = Dataset(), Dataset(), Dataset()
    instance.ReferencedSOPClassUID, instance.ReferencedSOPInstanceUID = (
        earlier.sop_class_uid,
        earlier.sop_instance_uid,
    )
    series.SeriesInstanceUID, series.ReferencedSOPSequence = earlier.series_instance_uid, [instance]
    study.StudyInstanceUID, study.ReferencedSeriesSequence = earlier.study_instance_uid, [series]
    done.PredecessorDocumentsSequence = [study]


def _file_meta(done: Dataset) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = done.SOPClassUID, done.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(product.IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = product.IMPLEMENTATION_VERSION_NAME
    return meta
