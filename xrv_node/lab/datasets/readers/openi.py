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
from xrv_node.lab.datasets import rows
from xrv_node.lab.datasets.catalog import Options
from xrv_node.lab.datasets.folder import Folder, read_table
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


@dataclass(slots=True)
class _Report:
    uid: str = ""
    terms: dict[str, set[str]] = field(default_factory=lambda: {"major": set(), "automatic": set()})
    images: list[str] = field(default_factory=list)


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
    dicom = folder.named(names, (".dcm",))
    picture = folder.named(frame["imageid"], (".png",))
    only_dicom = np.array(
        [
            (folder.path / one).is_file() and not (folder.path / other).is_file()
            for one, other in zip(dicom, picture, strict=True)
        ],
        dtype=bool,
    )
    frame["image"] = dicom.where(only_dicom, picture)
    frame["view"] = _views(folder, options.part, frame["imageid"], dicom)
    frame = rows.selected(frame, options, "uid")
    labels = rows.containing(
        frame["labels_automatic"],
        {name: _WORDS.get(name, (name.lower(),)) for name in folder.entry.pathologies},
    )
    return rows.built(folder, options, frame.assign(patientid=frame["uid"]), labels)


def _views(folder: Folder, part: str, images: pd.Series, dicom: pd.Series) -> pd.Series:
    """The view of each image: from a table, if one was made, else from the DICOM files' headers."""
    file, heading = {
        "dicom": ("nlmcxr_dicom_metadata.csv", "View Position"),
        "tsne": ("nlmcxr_tsne_pa.csv", "tsne-view"),
    }[part]
    if part == "tsne" or folder.find(file) is not None:
        table = read_table(folder.file(file), ("imageid", heading)).drop_duplicates("imageid")
        return images.map(table.set_index("imageid")[heading])
    return read_headers(folder.path, dicom.tolist())["ViewPosition"]


_LONGEST = 1 << 20
"""Bytes of a report; the owner's have some five thousand."""


def _reports(folder: Folder) -> Iterator[_Report]:
    """Each report: of the owner's archive, or of the folder that comes out of it."""
    unpacked = [path for deep in ("", "*/") for path in folder.path.glob(f"{deep}ecgen-radiology/*.xml")]
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
                if member.isfile() and member.name.endswith(".xml"):
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
