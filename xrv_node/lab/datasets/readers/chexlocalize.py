"""CheXlocalize: CheXpert's validation and test images with radiologists' outlines."""

from __future__ import annotations

from collections.abc import Iterator

from xrv_node.errors import DatasetError
from xrv_node.lab.datasets import rows
from xrv_node.lab.datasets.catalog import Options
from xrv_node.lab.datasets.folder import Folder
from xrv_node.lab.datasets.json_file import read_json
from xrv_node.lab.datasets.readers import labeler
from xrv_node.lab.datasets.readers.chexpert import COLUMNS, PARTS, without_release
from xrv_node.lab.datasets.table import LabelTable, Region
from xrv_node.visible import visible

_NAMES = {"Pleural Effusion": "Effusion", "Airspace Opacity": "Lung Opacity"}
"""torchxrayvision's name where the outlines' differs; ten of the thirteen labels have outlines."""


TABLES = {"val_labels.csv, test_labels.csv": COLUMNS}


def read(folder: Folder, options: Options) -> LabelTable:
    """Read the label file of the part; the outlines too where their file is there."""
    names = {"val": ("val_labels.csv", "valid.csv"), "test": ("test_labels.csv",)}[options.part]
    frame = folder.table(*names, columns=COLUMNS, key="Path", as_is=options.xrv_compatible)
    frame["Path"] = without_release(frame["Path"])
    patient = rows.extracted(frame["Path"], r"(?i)patient(\d+)")
    view = labeler.views(frame, *(("Unknown",) if options.xrv_compatible else ()))
    frame = rows.selected(folder, frame.assign(view=view, patientid=patient), options, "patientid")
    labels = labeler.labels(folder, frame, as_is=options.xrv_compatible)
    frame = labeler.with_patients(frame, zero_is_unknown=not options.xrv_compatible)
    own = frame["Path"].str.replace(r"^valid/", "val/", regex=True)  # CheXlocalize's copy of the images
    frame["image"] = folder.images(frame["Path"], own, least=PARTS)
    study = frame["Path"].str.replace(r"^[^/]*/|\.[^./]*$", "", regex=True).str.replace("/", "_", regex=False)
    regions = rows.grouped(study, _outlines(folder, f"gt_segmentations_{options.part}.json"))
    return rows.built(folder, options, frame, labels, regions=regions)


def _outlines(folder: Folder, name: str) -> Iterator[tuple[str, Region]]:
    """Image and mask of each finding that was outlined."""
    if (path := folder.find(name, packed=("",))) is None:
        return
    try:
        for image, findings in read_json(path).items():
            for finding, mask in findings.items():
                height, width = mask["size"]
                label = _NAMES.get(finding, finding)
                if label not in folder.entry.pathologies:
                    raise DatasetError(
                        f"{path}: {visible(finding[:60])!r} is no finding of CheXlocalize; get it again"
                    )
                yield image, Region(label, "coco_rle", str(mask["counts"]), (int(height), int(width)))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{path} is not as CheXlocalize is published; get it again") from error
