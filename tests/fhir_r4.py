"""What R4 (4.0.1) says of the elements that the node writes: plain JSON against tables typed from its pages."""

from __future__ import annotations

import re
from base64 import b64decode
from typing import Any

_STATUS_REPORT = (
    "registered|partial|preliminary|final|amended|corrected|appended|cancelled|entered-in-error|unknown"
)
_STATUS_OBSERVATION = "registered|preliminary|final|amended|corrected|cancelled|entered-in-error|unknown"
PRIMITIVES = {
    "string": r"[ \r\n\t\S]+",
    "uri": r"\S+",
    "code": r"[^\s]+(\s[^\s]+)*",
    "markdown": r"\s*(\S|\s)*",
    "dateTime": r"\d{4}(-\d\d(-\d\d(T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d))?)?)?",
    "instant": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)",
    "report-status": _STATUS_REPORT,
    "observation-status": _STATUS_OBSERVATION,
    "device-name": "udi-label-name|user-friendly-name|patient-reported-name|manufacturer-name|model-name|other",
    "transaction": "transaction",
    "verb": "GET|HEAD|POST|PUT|DELETE|PATCH",
}

# Element: its type and cardinality. A list where it may repeat, "1.." where it must be there.
TYPES: dict[str, dict[str, tuple[str, str]]] = {
    "Bundle": {"type": ("transaction", "1..1"), "entry": ("Entry", "0..*")},
    "Entry": {"fullUrl": ("uri", "0..1"), "resource": ("Resource", "0..1"), "request": ("Request", "0..1")},
    "Request": {"method": ("verb", "1..1"), "url": ("uri", "1..1"), "ifNoneExist": ("string", "0..1")},
    "DiagnosticReport": {
        "meta": ("Meta", "0..1"), "language": ("code", "0..1"), "extension": ("Extension", "0..*"),
        "identifier": ("Identifier", "0..*"), "basedOn": ("Reference", "0..*"),
        "status": ("report-status", "1..1"), "category": ("CodeableConcept", "0..*"),
        "code": ("CodeableConcept", "1..1"), "subject": ("Reference", "0..1"),
        "effectiveDateTime": ("dateTime", "0..1"), "issued": ("instant", "0..1"),
        "result": ("Reference", "0..*"), "imagingStudy": ("Reference", "0..*"),
        "conclusion": ("string", "0..1"), "presentedForm": ("Attachment", "0..*"),
    },
    "Observation": {
        "meta": ("Meta", "0..1"), "language": ("code", "0..1"), "identifier": ("Identifier", "0..*"),
        "status": ("observation-status", "1..1"), "category": ("CodeableConcept", "0..*"),
        "code": ("CodeableConcept", "1..1"), "subject": ("Reference", "0..1"),
        "effectiveDateTime": ("dateTime", "0..1"), "issued": ("instant", "0..1"),
        "valueQuantity": ("Quantity", "0..1"), "interpretation": ("CodeableConcept", "0..*"),
        "note": ("Annotation", "0..*"), "device": ("Reference", "0..1"),
        "referenceRange": ("ReferenceRange", "0..*"), "derivedFrom": ("Reference", "0..*"),
        "component": ("Component", "0..*"),
    },
    "Device": {
        "identifier": ("Identifier", "0..*"), "manufacturer": ("string", "0..1"),
        "serialNumber": ("string", "0..1"), "deviceName": ("DeviceName", "0..*"),
        "version": ("DeviceVersion", "0..*"), "note": ("Annotation", "0..*"),
    },
    "Component": {"code": ("CodeableConcept", "1..1"), "valueCodeableConcept": ("CodeableConcept", "0..1")},
    "DeviceName": {"name": ("string", "1..1"), "type": ("device-name", "1..1")},
    "DeviceVersion": {"value": ("string", "1..1")},
    "ReferenceRange": {"text": ("string", "0..1")},
    "Annotation": {"text": ("markdown", "1..1")},
    "Meta": {"security": ("Coding", "0..*")},
    "Extension": {"url": ("uri", "1..1"), "valueReference": ("Reference", "0..1")},
    "Identifier": {
        "type": ("CodeableConcept", "0..1"), "system": ("uri", "0..1"), "value": ("string", "0..1"),
        "assigner": ("Reference", "0..1"),
    },
    "CodeableConcept": {"coding": ("Coding", "0..*"), "text": ("string", "0..1")},
    "Coding": {"system": ("uri", "0..1"), "code": ("code", "0..1"), "display": ("string", "0..1")},
    "Reference": {
        "reference": ("string", "0..1"), "type": ("uri", "0..1"), "identifier": ("Identifier", "0..1"),
        "display": ("string", "0..1"),
    },
    "Quantity": {
        "value": ("decimal", "0..1"), "unit": ("string", "0..1"), "system": ("uri", "0..1"),
        "code": ("code", "0..1"),
    },
    "Attachment": {
        "contentType": ("code", "0..1"), "language": ("code", "0..1"), "data": ("base64Binary", "0..1"),
        "title": ("string", "0..1"),
    },
}  # fmt: skip


def check(value: Any, kind: str, path: str = "Bundle") -> None:
    """Hold a value to a type; what is missing, too often, empty, unknown or of another form raises."""
    if kind == "Resource":
        kind = value["resourceType"]
    if kind not in TYPES:
        _primitive(value, kind, path)
        return
    assert isinstance(value, dict), path
    assert value, f"{path} is empty"
    for name, one in value.items():
        if name == "resourceType":
            assert one == kind, path
            continue
        assert name in TYPES[kind], f"{path}.{name} is no element of {kind}"
        inner, times = TYPES[kind][name]
        many = times.endswith("*")
        assert isinstance(one, list) == many, f"{path}.{name}"
        assert one not in ([], "", None), f"{path}.{name} is empty"
        for each in one if many else [one]:
            check(each, inner, f"{path}.{name}")
    missing = [name for name, (_, times) in TYPES[kind].items() if times[0] == "1" and name not in value]
    assert not missing, f"{path}: {missing}"


def _primitive(value: Any, kind: str, path: str) -> None:
    if kind == "decimal":
        assert isinstance(value, int | float), path
        assert not isinstance(value, bool), path
    elif kind == "base64Binary":
        assert b64decode(value, validate=True), path
    else:
        assert isinstance(value, str), path
        assert re.fullmatch(PRIMITIVES[kind], value), f"{path}: {value!r}"
