"""A study's results as objects: what each kind costs, beside highdicom's own constructors.

    python tests/bench/bench_report.py [--quick]

The study is one radiograph of 3000 x 2500 pixels on which every finding is present and every structure was
found. Counted is what the report job does but for the disk: the objects from the analysis (masks are brought
to the source's matrix), and their bytes as the spool keeps them. All have one thread.

highdicom's are what one writes who takes its constructors as they are: the masks in the same way brought to
the source's matrix, a segmentation of all of it, a report of the same number of regions.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # read when numpy is imported
sys.path.append(str(Path(__file__).resolve().parents[1]))

import benching
import cv2
import highdicom as hd
import numpy as np
import report_cases as cases
from pydicom import Dataset
from pydicom.sr.codedict import codes

from xrv_node import report
from xrv_node.radiograph.display import LONGEST
from xrv_node.report.codes import CHEST_IMAGING
from xrv_node.report.masks import source_masks
from xrv_node.result_kinds import KINDS
from xrv_node.settings.destinations import DestinationSection
from xrv_node.values import DEFAULT_STYLE, Analysis, StudyOutcome, Style

ROWS, COLUMNS = 3000, 2500
DEFAULT: tuple[str, ...] = DestinationSection.model_fields["send"].default


def study() -> StudyOutcome:
    """One image, everything found; masks of the segmentation network's 512 x 512 pixels."""
    header = cases.header(rows=ROWS, columns=COLUMNS)
    image = cases.frontal(header, scores=dict.fromkeys(cases.LABELS, 0.9), seg=cases.masks(512))
    assert image.analysis is not None
    picture = cases.picture(LONGEST, COLUMNS * LONGEST // ROWS)
    kept = replace(image.analysis, picture=picture)
    return cases.outcome(replace(image, analysis=kept))


def ours(outcome: StudyOutcome, kinds: tuple[str, ...], style: Style = DEFAULT_STYLE) -> list[bytes]:
    """The files as the report job makes them."""
    return [
        report.to_bytes(result.dataset, deflated=KINDS[result.kind].deflates)
        for result in report.build(outcome, kinds, style)
    ]


def whole_segmentation(header: Dataset, analysis: Analysis) -> bytes:
    """What highdicom makes of the masks."""
    algorithm = hd.AlgorithmIdentificationSequence(
        name="network", version="1", family=codes.DCM.ArtificialIntelligence
    )
    made = hd.seg.Segmentation(
        source_images=[header],
        pixel_array=np.moveaxis(source_masks(analysis), 0, -1)[np.newaxis],
        segmentation_type="BINARY",
        segment_descriptions=[
            hd.seg.SegmentDescription(
                segment_number=number,
                segment_label=name,
                segmented_property_category=codes.SCT.AnatomicalStructure,
                segmented_property_type=codes.SCT.Lung,
                algorithm_type="AUTOMATIC",
                algorithm_identification=algorithm,
            )
            for number, name in enumerate(analysis.structures, 1)
        ],
        **_instance(),
    )
    return report.to_bytes(made)


def whole_report(header: Dataset, analysis: Analysis) -> bytes:
    """What highdicom makes of the regions (TID 1500 with a TID 1410 group for each)."""
    observer = hd.sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=hd.sr.DeviceObserverIdentifyingAttributes(uid=hd.UID()),
    )
    groups = [
        hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=hd.sr.TrackingIdentifier(hd.UID(), finding.label),
            referenced_region=hd.sr.ImageRegion(
                graphic_type="POLYLINE",
                graphic_data=np.array(finding.region),
                source_image=hd.sr.SourceImageForRegion(header.SOPClassUID, header.SOPInstanceUID),
            ),
            finding_type=codes.SCT.Mass,
            finding_sites=[hd.sr.FindingSite(codes.SCT.Lung)],
            algorithm_id=hd.sr.AlgorithmIdentification(name="network", version="1"),
            measurements=[
                hd.sr.Measurement(
                    name=codes.DCM.CertaintyOfFinding, value=finding.score * 100, unit=codes.UCUM.Percent
                )
            ],
        )
        for finding in analysis.findings
    ]
    content = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(observer_device_context=observer),
        procedure_reported=CHEST_IMAGING,
        imaging_measurements=groups,
    )
    made = hd.sr.Comprehensive3DSR(evidence=[header], content=content, is_complete=True, **_instance())
    return report.to_bytes(made)


def _instance() -> dict[str, object]:
    return {
        "series_instance_uid": hd.UID(), "series_number": 1, "sop_instance_uid": hd.UID(), "instance_number": 1,
        "manufacturer": "m", "manufacturer_model_name": "m", "software_versions": "1",
        "device_serial_number": "1",
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="3 rounds in place of 15")
    rounds = 3 if parser.parse_args().quick else 15
    cv2.setNumThreads(1)
    print(benching.machine(), end="\n\n")
    outcome = study()
    (image,) = outcome.images
    assert image.analysis is not None
    runs: dict[str, Callable[[], list[bytes]]] = {
        **{kind: lambda kind=kind: ours(outcome, (kind,)) for kind in KINDS},
        "seg, labelmap": lambda: ours(outcome, ("seg",), Style(seg_type="labelmap")),
        f"all that are sent by default ({', '.join(DEFAULT)})": lambda: ours(outcome, DEFAULT),
        "highdicom: seg": lambda: [whole_segmentation(image.header, image.analysis)],
        "highdicom: sr, a group for each finding": lambda: [whole_report(image.header, image.analysis)],
    }
    taken = benching.alternate(runs, rounds)
    rows = []
    for name, run in runs.items():
        wall, cpu = benching.medians(taken[name])
        files = run()
        rows.append(
            [name, len(files), f"{wall * 1000:.0f}", f"{cpu * 1000:.0f}", f"{sum(map(len, files)):,}"]
        )
    benching.table(["kind", "objects", "ms, wall", "ms of one core", "bytes"], rows)


if __name__ == "__main__":
    main()
