"""How an image of a dataset was taken, in the words of a DX object: view, orientation, size of a pixel."""

from __future__ import annotations

from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from xrv_node.attributes import text

FIELD_MM = 430.0
"""Longer side of the detector where nothing says how large a pixel is: 43 cm (17 inches), the usual cassette
for a chest. Imager Pixel Spacing of a DX object must have a value (PS3.3 C.8.11.4)."""

_NOMINAL = f"The pixel size is not published: that of a field of {FIELD_MM:g} mm is given. Do not measure."

_CHEST = Code("816094009", "SCT", "Chest")
"""Anatomic Region (PS3.16 CID 4031)."""

VIEWS = {
    "PA": ("PA", codes.cid4010.PosteroAnterior),
    "AP": ("AP", codes.cid4010.AnteroPosterior),
    "AP Supine": ("AP", codes.cid4010.AnteroPosterior),
    "FRONTAL": ("", codes.cid4010.Frontal),
    "L": ("", codes.cid4010.LateralProjection),
    "LL": ("LL", codes.cid4010.LeftLateral),
    "RL": ("RL", codes.cid4010.RightLateral),
}
"""View Position (PS3.3 C.8.11.5) and View Code (PS3.16 CID 4010) by `Item.view`; all others have none."""

_FRONTAL = ("PA", "AP", "AP Supine", "FRONTAL")

_DIRECTIONS = frozenset("APRLHF")
"""Letters of Patient Orientation (PS3.3 C.7.6.1.1.1)."""


def add_projection(ds: Dataset, view: str, source: Dataset | None) -> None:
    """Add what a DX object says of projection and orientation (PS3.3 C.8.11.2, C.8.11.3, C.8.11.5).

    Parameters
    ----------
    ds
        Is changed.
    view
        `Item.view`. Of one that is not in `VIEWS` nothing is said: View Position and View Code are optional.
    source
        Header of the image's own file; None where it has none. Its Patient Orientation is taken as it is.
        Without one, a frontal image is as it is displayed, the patient's left at the viewer's right. Of
        others only the columns are known, head above foot. The attribute must not be empty, and either letter
        for the rows would be a guess (where OpenI's headers say it, 508 laterals have A and 181 P), so that
        the first value stays empty.
    """
    position, code = VIEWS.get(view, ("", None))
    if position:
        ds.ViewPosition = position
    if code is not None:
        ds.ViewCodeSequence = [_item(code)]
        ds.ViewCodeSequence[0].ViewModifierCodeSequence = []
    if view == "AP Supine":
        ds.PatientOrientationCodeSequence = [_item(codes.cid19.Recumbent)]
        ds.PatientOrientationCodeSequence[0].PatientOrientationModifierCodeSequence = [
            _item(codes.cid20.Supine)
        ]
    usual = ["L" if view in _FRONTAL else "", "F"]
    ds.PatientOrientation = _orientation(source) or usual
    ds.AnatomicRegionSequence = [_item(_CHEST)]
    ds.ImageLaterality = "U"  # the chest is unpaired
    ds.PositionerType = ""


def add_spacing(ds: Dataset, source: Dataset | None, field_mm: tuple[float, float] | None) -> None:
    """Add Imager Pixel Spacing, and to Image Comments that it is nominal where it is.

    Parameters
    ----------
    ds
        With Rows, Columns and Image Comments; is changed.
    source
        Header of the image's own file, None where it has none. Its Imager Pixel Spacing is taken. Pixel
        Spacing is not: in the files of RSNA's and SIIM-ACR's challenges it is that of the images before they
        were reduced to 1024 x 1024.
    field_mm
        Height and width of what the image shows, in mm, where the dataset publishes it, else None.
    """
    stated = _stated(source)
    if stated is None and field_mm is not None:
        stated = field_mm[0] / ds.Rows, field_mm[1] / ds.Columns
    if stated is None:
        ds.ImageComments += f" {_NOMINAL}"
        stated = (FIELD_MM / max(ds.Rows, ds.Columns),) * 2
    ds.ImagerPixelSpacing = [f"{side:.6g}" for side in stated]


def _orientation(source: Dataset | None) -> list[str] | None:
    values = [] if source is None else text(source, "PatientOrientation").split("\\")
    good = len(values) == 2 and all(value and set(value) <= _DIRECTIONS for value in values)
    return values if good else None


def _stated(source: Dataset | None) -> tuple[float, float] | None:
    """Distance of the detector's rows and columns in mm, where the image's own header tells it."""
    try:
        rows, columns = map(float, text(source or Dataset(), "ImagerPixelSpacing").split("\\"))
    except ValueError:
        return None
    return (rows, columns) if min(rows, columns) > 0.01 and max(rows, columns) < 10 else None


def _item(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = code.value, code.scheme_designator
    item.CodeMeaning = code.meaning
    return item
