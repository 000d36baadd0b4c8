"""Who made a result: the same few values wherever an object names its maker.

IHE AIR (6.5.3.1) asks that the Contributing Equipment item, the device observer and the algorithm in an SR
tree and the algorithm of a segment say the same. Here the "algorithm" is the node with one set of models:
manufacturer, name, version and device UID come from this file alone, and what each network is goes into the
parameters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydicom import Dataset
from pydicom.sr.coding import Code

from xrv_node import product
from xrv_node.report.uids import device_uid
from xrv_node.values import ModelIdentity, ModelSet

if TYPE_CHECKING:
    from collections.abc import Sequence

    import highdicom as hd

MANUFACTURER = product.MANUFACTURER
NAME = product.MODEL_NAME
"""Manufacturer's Model Name, device observer name and model, and algorithm name."""
_PROCESSING_EQUIPMENT = Code("109102", "DCM", "Processing Equipment")
_ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")


def version(models: ModelSet) -> str:
    """Return the software version with the model set's identity: other weights are another version."""
    return f"{product.VERSION}+models.{models.digest[:12]}"


def serial_number(models: ModelSet) -> str:
    """Return Device Serial Number (0018,1000), type 1 in Enhanced General Equipment (PS3.3 C.7.5.2).

    Software has none; the model set's digest tells one "device" from another.
    """
    return models.digest[:16]


def model_line(model: ModelIdentity) -> str:
    """Return a network's role, name and digest of its weights."""
    return f"{model.role}: {model.name}, weights SHA-256 {model.sha256}"


def points_line(site_thresholds: Sequence[tuple[str, float]]) -> str:
    """Return a site's own operating points, on the sigmoid's scale, by torchxrayvision's names; the same in
    every language, for programs compare it."""
    return ", ".join(f"{label} {threshold}" for label, threshold in site_thresholds)


def add_equipment(dataset: Dataset, models: ModelSet) -> None:
    """Write the General Equipment module and Contributing Equipment Sequence (0018,A001) into an object."""
    _add_identity(dataset, models)
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [code_item(_PROCESSING_EQUIPMENT)]
    _add_identity(item, models)
    item.DeviceUID = device_uid(models.digest)
    item.ContributionDescription = "Analysis of chest radiographs. Research software, not a medical device."
    dataset.ContributingEquipmentSequence = [item]


def observer(models: ModelSet) -> hd.sr.ObservationContext:
    """Return the observation context of an SR document: its device observer."""
    import highdicom as hd

    return hd.sr.ObservationContext(observer_device_context=device_observer(models))


def device_observer(models: ModelSet) -> hd.sr.ObserverContext:
    """Return the node as a device observer (TID 1002 and 1004)."""
    import highdicom as hd
    from pydicom.sr.codedict import codes

    device = hd.sr.DeviceObserverIdentifyingAttributes(
        uid=device_uid(models.digest),
        name=NAME,
        manufacturer_name=MANUFACTURER,
        model_name=NAME,
        serial_number=serial_number(models),
    )
    return hd.sr.ObserverContext(codes.DCM.Device, device)


def algorithm_in_report(models: ModelSet, model: ModelIdentity) -> hd.sr.AlgorithmIdentification:
    """Return the algorithm as an SR document names it where a value comes from one of the networks (TID
    4019)."""
    import highdicom as hd

    own = points_line(model.site_thresholds)
    return hd.sr.AlgorithmIdentification(
        name=NAME,
        version=version(models),
        parameters=[model_line(model), *([f"operating points set by the site: {own}"] if own else [])],
        family=_ARTIFICIAL_INTELLIGENCE,
        manufacturer=MANUFACTURER,
    )


def algorithm_in_segment(models: ModelSet) -> hd.AlgorithmIdentificationSequence:
    """Return the algorithm as a segmentation names it (PS3.3 table 10-19)."""
    import highdicom as hd

    return hd.AlgorithmIdentificationSequence(
        name=NAME,
        family=_ARTIFICIAL_INTELLIGENCE,
        version=version(models),
        source=MANUFACTURER,
        parameters={m.role: f"{m.name} {m.sha256}" for m in models.models},
    )


def _add_identity(dataset: Dataset, models: ModelSet) -> None:
    dataset.Manufacturer = MANUFACTURER
    dataset.ManufacturerModelName = NAME
    dataset.DeviceSerialNumber = serial_number(models)
    dataset.SoftwareVersions = version(models)


def code_item(code: Code) -> Dataset:
    """Return a code as an item of a code sequence (PS3.3 table 8.8-1)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = (
        code.value,
        code.scheme_designator,
        code.meaning,
    )
    return item
