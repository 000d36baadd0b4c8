"""UIDs that are derived, not drawn: the same result has the same UID, however often and wherever it is made.

All have the form 2.25.<UUID as a decimal number> (PS3.5 annex B.2), with a version 5 UUID: a digest of what
identifies the thing. None can be read back into what it was made of.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable

from pydicom import DataElement

_NAMESPACE = uuid.UUID("6c2337dc-1f90-431e-8f88-6e40c4b19fd0")
"""The project's; never change it, or every result ever sent gets a second UID."""


def result_uid(kind: str, sources: Iterable[str], model_digest: str, content: str) -> str:
    """Derive the SOP Instance UID of a result object.

    Parameters
    ----------
    kind : str
        The result's kind, e.g. ``"seg"``.
    sources : iterable of str
        SOP Instance UIDs of the images that it was made of, in any order.
    model_digest : str
        ``ModelSet.digest`` of the networks.
    content : str
        Digest of what the object says, without its UIDs and times.

    Returns
    -------
    str
        ``2.25.`` and up to 39 digits.
    """
    return _derive("instance", kind, *sorted(sources), model_digest, content)


def series_uid(kind: str, sources: Iterable[str], model_digest: str, content: str) -> str:
    """Derive the Series Instance UID of a result object, from the same as `result_uid`.

    Each object has a series of its own: OHIF shows only the last of several segmentations or reports in one.
    """
    return _derive("series", kind, *sorted(sources), model_digest, content)


def again_uid(uid: str) -> str:
    """Derive the UID of an instance or series whose content is once more what that of `uid` was, after
    another had superseded it."""
    return _derive("again", uid)


def device_uid(model_digest: str) -> str:
    """Derive the Device UID (0018,1002) of a model set: other weights are another device (IHE AIR
    6.5.3.1)."""
    return _derive("device", model_digest)


def coding_scheme_uid(designator: str) -> str:
    """Derive the UID of a coding scheme of our own."""
    return _derive("coding scheme", designator)


def tracking_uid(sop_instance_uid: str, label: str) -> str:
    """Derive the Tracking UID of one thing on one image, shared by every object that speaks of it.

    It does not depend on the models: a second analysis speaks of the same thing.

    Parameters
    ----------
    sop_instance_uid : str
        The image.
    label : str
        Name of the finding or structure.
    """
    return _derive("tracking", sop_instance_uid, label)


def frame_of_reference_uid(sop_instance_uid: str) -> str:
    """Derive the Frame of Reference UID of the nominal plane of an image that has none of its own."""
    return _derive("frame of reference", sop_instance_uid)


def dimension_organization_uid(sop_instance_uid: str) -> str:
    """Derive the Dimension Organization UID (0020,9164) of the segmentation of an image."""
    return _derive("dimension organization", sop_instance_uid)


def digest(elements: Iterable[DataElement]) -> str:
    """Digest what an object says; two runs that say the same give the same, whenever they ran.

    Parameters
    ----------
    elements : iterable of DataElement
        In the order of their tags; whatever is in their sequences is said too.

    Returns
    -------
    str
        Hex SHA-256.
    """
    made = hashlib.sha256()
    _say(elements, made)
    return made.hexdigest()


def _say(elements: Iterable[DataElement], made: hashlib._Hash) -> None:
    """Nested and quoted, so that no two contents read the same. To write them as DICOM does takes six times
    as long."""
    for element in elements:
        value = element.value
        if element.VR == "SQ":
            for item in value:
                made.update(f"{element.tag}(".encode())
                _say(item, made)
                made.update(b")")
        elif isinstance(value, bytes):
            made.update(f"{element.tag}{len(value)}:".encode())
            made.update(value)
        else:
            made.update(f"{element.tag}{value!r}".encode(errors="backslashreplace"))


def _derive(*parts: str) -> str:
    """Digest the parts; a line feed is in no UID, digest or label, so that no two lists of parts read the
    same."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, chr(10).join(parts)).int}"
