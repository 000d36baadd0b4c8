"""Which destinations get the results of a study."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from xrv_node.attributes import text
from xrv_node.settings.destinations import WhenSection
from xrv_node.values import ImageOutcome


def matches(when: WhenSection, images: Sequence[ImageOutcome], callers: Collection[str]) -> bool:
    """Tell whether a study is one that a destination's ``when`` asks for.

    Parameters
    ----------
    when
        Every key that is given must match; one does when any image of the study has any of its values.
    images
        All of the study.
    callers
        AE titles that they came from.

    Returns
    -------
    bool
        True of a table without keys.
    """
    seen = {
        "calling_ae": set(callers),
        "station": {text(image.header, "StationName") for image in images},
        "modality": {text(image.header, "Modality") for image in images},
        "finding": {label for image in images for label in _present(image)},
    }
    return all(not wanted or not seen[key].isdisjoint(wanted) for key, wanted in when)


def _present(image: ImageOutcome) -> list[str]:
    """The findings that are reported as present: none of an image whose findings are withheld, and none of a
    phantom, which belongs into nobody's worklist."""
    if image.analysis is None or image.analysis.refused is not None or image.analysis.model_set.phantom:
        return []
    return [finding.label for finding in image.analysis.findings if finding.present]
