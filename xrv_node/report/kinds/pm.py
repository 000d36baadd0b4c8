"""Heat maps as numbers: a float Parametric Map for each finding that is present.

One object for a finding: several frames at one place are a volume to a viewer. It has the source's matrix,
because OHIF shows no other; but the map is seven by seven numbers to begin with, so its values are rounded to
steps that a deflated file holds in little room. A plane is stated whatever `Style.seg_geometry` says: a
Parametric Map must have one (PS3.3 A.75), unlike a segmentation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.sr.codedict import codes as dicom_codes

from xrv_node.report import codes, summary
from xrv_node.report.envelope import finish, image_placeholders, stand_in
from xrv_node.report.masks import overlap
from xrv_node.report.plane import plane, state
from xrv_node.report.uids import dimension_organization_uid
from xrv_node.values import DEFAULT_STYLE, PHANTOM_WORDS, Finding, Frame, StudyOutcome, Style

_STEPS = 255
"""As many as a colour scale on a screen has."""


def build(outcome: StudyOutcome, style: Style = DEFAULT_STYLE) -> list[Dataset]:
    """Make the heat maps of each image.

    Parameters
    ----------
    outcome : StudyOutcome
        A closed study.
    style : Style
        Nothing in it concerns them.

    Returns
    -------
    list of Dataset
        Parametric Maps (1.2.840.10008.5.1.4.1.1.30) of 32-bit floats, at least 0, [rows, columns] of the
        source, 0 outside the square that the network saw; quantity (130403, DCM, Gradient-weighted class
        activation) of CID 217, without unit. One for each present finding of an analysis that has maps.

    Raises
    ------
    ConfigError
        If a finding has no codes.
    """
    return [
        _map(image.header, finding, heat(image.analysis.maps[k], image.analysis.frame), outcome)
        for _, image in summary.answered(outcome)
        if image.analysis is not None and image.analysis.maps is not None
        for k, finding in sorted(
            enumerate(image.analysis.findings), key=lambda numbered: summary.rank(numbered[1])
        )
        if finding.present and image.analysis.maps[k].max() > 0
    ]


def heat(cam: NDArray[np.float32], frame: Frame) -> NDArray[np.float32]:
    """Lay a class activation map over its image.

    Parameters
    ----------
    cam : ndarray of float32
        ``[h, w]``, at least 0 and somewhere more, over the square of `frame`.
    frame : Frame
        Where that square lies.

    Returns
    -------
    ndarray of float32
        ``[rows, columns]``, in `_STEPS` steps from 0 to the maximum; 0 outside the square.
    """
    from xrv_node.analyse.heatmap import smooth

    image, square = overlap(frame)
    over = np.zeros((frame.rows, frame.columns), np.float32)
    over[image] = smooth(cam, *frame.extent)[square]
    step = over.max() / _STEPS or np.float32(1)
    return np.round(over / step) * step


def _map(header: Dataset, finding: Finding, heat: NDArray[np.float32], outcome: StudyOutcome) -> Dataset:
    import highdicom as hd

    row = codes.finding(finding.label)
    source = stand_in(header, outcome.study_instance_uid)
    source.Rows, source.Columns = heat.shape
    stated = plane(header)
    state(source, stated)
    highest = float(heat.max())
    made = hd.pm.ParametricMap(
        **image_placeholders(outcome.model_set),
        source_images=[source],
        pixel_array=heat,
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[
            hd.pm.RealWorldValueMapping(
                lut_label=row.own.value,
                lut_explanation=f"Gradient-weighted class activation: {row.name}",
                unit=dicom_codes.UCUM.NoUnits,
                value_range=(0.0, highest),
                quantity_definition=dicom_codes.DCM.GradientWeightedClassActivation,
            )
        ],
        voi_lut_transformations=[hd.VOILUTTransformation(window_center=highest / 2, window_width=highest)],
        pixel_measures=hd.PixelMeasuresSequence(pixel_spacing=list(stated.spacing), slice_thickness=1.0),
        plane_orientation=hd.PlaneOrientationSequence("PATIENT", stated.orientation),
        plane_positions=[hd.PlanePositionSequence("PATIENT", stated.position)],
        content_label="XRV_HEAT",
        content_description=(
            PHANTOM_WORDS if outcome.model_set.phantom else "Heat map by AI, not for diagnosis"
        ),
    )
    made.BodyPartExamined = "CHEST"
    made.ContentCreatorName = ""  # type 2; no person made it
    organization = dimension_organization_uid(source.SOPInstanceUID)
    for item in (*made.DimensionOrganizationSequence, *made.DimensionIndexSequence):
        item.DimensionOrganizationUID = organization
    # the key, of at most 10 characters: not every name leaves room for the notice
    return finish(made, "pm", outcome, header, [source.SOPInstanceUID], subject=row.own.value)
