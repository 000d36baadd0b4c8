"""The answer to STOW-RS: Store Instances Response Module (PS3.18 annex I), and the status."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword

from xrv_node.product import MODEL_NAME
from xrv_node.receive.instance_rows import Incoming
from xrv_node.receive.statuses import OUT_OF_RESOURCES, PROCESSING_FAILURE
from xrv_node.receive.taking import Taken
from xrv_node.spool import is_uid
from xrv_node.web.dicomweb import native_model

MOST_WARNINGS = 8
"""Different reasons that the header names; the log has one line for each object."""
MOST_WORDS = 300
"""Characters of one of them."""

_AGAIN = frozenset({OUT_OF_RESOURCES, PROCESSING_FAILURE})
"""Failures after which the same object may be taken."""


@dataclass
class Answer:
    """What became of the objects of one request."""

    service: str
    """Where DICOMweb is reached, without a slash at the end."""
    media_type: str = "application/dicom+json"
    """How it is written."""
    stored: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)
    unnamed: list[dict[str, Any]] = field(default_factory=list)
    """Failures of what says not which object it is: Other Failures Sequence."""
    studies: set[str] = field(default_factory=set)
    """Of what is stored."""
    statuses: set[int] = field(default_factory=set)
    """Of what is not."""
    words: dict[str, None] = field(default_factory=dict)
    """Why not, in the order in which it came up."""

    def add(self, incoming: Incoming, taken: Taken) -> None:
        """Note what became of one more object."""
        names = {"ReferencedSOPClassUID": incoming.sop_class_uid}
        names["ReferencedSOPInstanceUID"] = incoming.sop_instance_uid
        if (kept := taken.accepted) is not None:
            self.studies.add(kept.study_instance_uid)
            place = f"{self._study(kept.study_instance_uid)}/series/{kept.series_instance_uid}"
            url = f"{place}/instances/{incoming.sop_instance_uid}"
            self.stored.append(_item(**names, RetrieveURL=url))
            return
        self.statuses.add(taken.status)
        self.words.setdefault(str(taken.why or "a fault of the node; its log has more"))
        if all(map(is_uid, names.values())):
            self.failed.append(_item(**names, FailureReason=taken.status))
        else:
            self.unnamed.append(_item(FailureReason=taken.status))

    @property
    def status(self) -> int:
        """Of a request that came whole (PS3.18 table 10.5.3-1); 503 where the same objects may be taken a
        while later."""
        if not self.statuses:
            return 200
        if self.stored:
            return 202
        return 503 if self.statuses <= _AGAIN else 409

    @property
    def empty(self) -> bool:
        """Whether there was no object."""
        return not (self.stored or self.statuses)

    def body(self) -> bytes:
        """The module, as UTF-8."""
        url = self._study(*self.studies) if len(self.studies) == 1 else None
        made = _item(RetrieveURL=url)
        for keyword, items in (
            ("FailedSOPSequence", self.failed),
            ("ReferencedSOPSequence", self.stored),
            ("OtherFailuresSequence", self.unnamed),
        ):
            made |= _item(**{keyword: items}) if items else {}
        ordered = dict(sorted(made.items()))
        as_xml = self.media_type == native_model.MEDIA_TYPE
        return (native_model.document(ordered) if as_xml else json.dumps(ordered)).encode()

    def warnings(self) -> list[str]:
        """Values of the header Warning (RFC 7234 5.5), one for each reason."""
        return [warning(words) for words in list(self.words)[:MOST_WARNINGS]]

    def _study(self, uid: str) -> str:
        return f"{self.service}/studies/{uid}"


def warning(words: str) -> str:
    """A value of the header Warning: ASCII, on one line, and quoted."""
    plain = words[:MOST_WORDS].encode("ascii", "backslashreplace").decode()
    plain = "".join(c if c.isprintable() else " " for c in plain)
    quoted = plain.replace("\\", "\\\\").replace('"', '\\"')
    return f'299 {MODEL_NAME} "{quoted}"'


def _item(**attributes: Any) -> dict[str, Any]:
    """Attributes as DICOM JSON (annex F): each a value, a list of items, or None for an empty one."""
    made = {}
    for keyword, value in attributes.items():
        element: dict[str, Any] = {"vr": dictionary_VR(keyword)}
        if value is not None:
            element["Value"] = value if isinstance(value, list) else [value]
        made[f"{tag_for_keyword(keyword):08X}"] = element
    return made
