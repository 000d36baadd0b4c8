"""OpenI, the Indiana University collection: reports in XML, the view in the images' headers."""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

import numpy as np
import pandas as pd

from xrv_node.errors import DatasetError
from xrv_node.folders import is_left_out
from xrv_node.lab.datasets import rows
from xrv_node.lab.datasets.catalog import Options
from xrv_node.lab.datasets.columns import Place, Words
from xrv_node.lab.datasets.csv_table import read_table
from xrv_node.lab.datasets.folder import Folder
from xrv_node.lab.datasets.headers import read_headers
from xrv_node.lab.datasets.table import LabelTable

_WORDS = {
    "Lung Lesion": ("lesion",),
    "Lung Opacity": ("opacity",),
    "Pleural_Thickening": ("pleural_thickening", "pleural thickening"),
    "Infiltration": ("infiltration", "infiltrate"),
    "Atelectasis": ("atelectasis", "atelectases"),
}
"""The MeSH terms that torchxrayvision counts under a label, where they are not just its name."""


VIEWS = {
    "dicom": Words("View Position", "unknown", words=("PA", "AP", "LL", "RL", "LATERAL", "LARGE LATERAL")),
    "tsne": Words("tsne-view", "unknown", words=("PA", "L")),
}
"""By part: the column of the view in the tables that torchxrayvision's authors made."""


@dataclass(slots=True)
class _Report:
    uid: str = ""
    terms: dict[str, set[str]] = field(default_factory=lambda: {"major": set(), "automatic": set()})
    images: list[str] = field(default_factory=list)


TABLES = {
    "nlmcxr_dicom_metadata.csv": (Place("imageid"), VIEWS["dicom"]),
    "nlmcxr_tsne_pa.csv": (Place("imageid"), VIEWS["tsne"]),
}


def read(folder: Folder, options: Options) -> LabelTable:
    """Read one row an image of the reports; the labels are their automatic MeSH terms.

    The view is that of the headers, or, in the part ``tsne``, the one that torchxrayvision's authors derived.
    """
    frame = pd.DataFrame(
        [
            {"uid": report.uid, "imageid": image}
            | {f"labels_{kind}": "|".join(sorted(terms)) for kind, terms in report.terms.items()}
            for report in _reports(folder)
            for image in report.images
        ],
        columns=["uid", "imageid", "labels_major", "labels_automatic"],
    )
    names = frame["imageid"].str.replace(r"^CXR(\d+_)(?:\1)?", r"\1", regex=True)
    dicom = folder.images(names, endings=(".dcm",), notes=False)
    frame["image"] = folder.images(frame["imageid"], names, endings=(".png", ".dcm"))
    frame["view"] = _views(folder, options, frame["imageid"], dicom)
    frame = rows.selected(folder, frame, options, "uid")
    labels = rows.containing(
        frame["labels_automatic"],
        {name: _WORDS.get(name, (name.lower(),)) for name in folder.entry.pathologies},
    )
    silent = ((frame["labels_major"] == "") & (frame["labels_automatic"] == "")).to_numpy()
    if silent.any() and not options.xrv_compatible:
        labels[silent] = np.nan
        folder.notes.append(
            f"the reports of {int(silent.sum())} images have no MeSH term: all labels are unknown"
        )
    return rows.built(folder, options, frame.assign(patientid=frame["uid"]), labels)


def _views(folder: Folder, options: Options, images: pd.Series, dicom: pd.Series) -> pd.Series:
    """The view of each image: from a table, if one was made, else from the DICOM files' headers."""
    part, as_is = options.part, options.xrv_compatible
    file = {"dicom": "nlmcxr_dicom_metadata.csv", "tsne": "nlmcxr_tsne_pa.csv"}[part]
    if part == "tsne" or folder.find(file) is not None:
        columns = (Place("imageid"), VIEWS[part])
        table = read_table(folder.file(file), columns, key="imageid", as_is=as_is, notes=folder.notes)
        table = table.drop_duplicates("imageid")
        return images.map(table.set_index("imageid")[VIEWS[part].heading])
    return read_headers(folder.path, dicom.tolist())["ViewPosition"]


_LONGEST = 1 << 20
"""Bytes of a report; the owner's have some five thousand."""


def _reports(folder: Folder) -> Iterator[_Report]:
    """Each report: of the owner's archive, or of the folder that comes out of it."""
    unpacked = [
        path
        for deep in ("", "*/", "*/*/")
        for path in folder.path.glob(f"{deep}ecgen-radiology/*.xml")
        if not is_left_out(path.name)
    ]
    if folder.find("NLMCXR_reports.tgz", packed=("",)) is None and unpacked:
        for path in sorted(unpacked, key=lambda path: path.name):
            try:
                yield _report(path.read_bytes())
            except (expat.ExpatError, OSError, ValueError) as error:
                raise DatasetError(f"{path} cannot be read as a report; get it again") from error
    else:
        yield from _archived(folder.file("NLMCXR_reports.tgz", "ecgen-radiology", packed=("",)))


def _archived(archive: Path) -> Iterator[_Report]:
    """Each report of the archive, which is read through and never unpacked."""
    try:
        with tarfile.open(archive, "r:gz") as opened:
            for member in opened:
                name = member.name.rpartition("/")[2]
                if member.isfile() and name.endswith(".xml") and not is_left_out(name):
                    if member.size > _LONGEST:
                        raise ValueError("a report of this size is none")
                    stream = opened.extractfile(member)
                    yield _report(b"" if stream is None else stream.read())
    except (tarfile.TarError, expat.ExpatError, OSError, EOFError, zlib.error, ValueError) as error:
        raise DatasetError(f"{archive} cannot be read as an archive of reports; get it again") from error


def _report(text: bytes) -> _Report:
    """Read one report. Entities are refused: with them a small file becomes a huge one, and none has any."""
    report = _Report()
    path: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if not path and name != "eCitation":
            raise ValueError("a page of the web, or another document")
        path.append(name)
        if name == "uId":
            report.uid = attributes.get("id", "")
        elif name == "parentImage" and "id" in attributes:
            report.images.append(attributes["id"])

    def words(found: str) -> None:
        if len(path) > 1 and path[-2] == "MeSH" and path[-1] in report.terms:
            report.terms[path[-1]].add(found.lower())

    def entity(*_: object) -> None:
        raise ValueError("a report declares an entity")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: path.pop()
    parser.CharacterDataHandler = words
    parser.EntityDeclHandler = entity
    parser.Parse(text, True)
    return report
