"""What came back: objects read as any program would read them, and a picture of each analysed image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread

from xrv_node.report import read_back
from xrv_node.result_kinds import kind_of
from xrv_node.values import Finding, Point


@dataclass(frozen=True, slots=True)
class ImageResult:
    """What came back for one image that was sent."""

    study: str
    instance: str
    view: str | None
    verdict: str
    why: str
    findings: tuple[Finding, ...]
    overlay: Path | None


@dataclass(frozen=True, slots=True)
class StudyReport:
    """The readable report of one study."""

    path: Path
    headline: str


@dataclass(frozen=True, slots=True, eq=False)
class Returned:
    """What the archive's objects say."""

    findings: dict[str, tuple[Finding, ...]]
    """By SOP Instance UID of the image; with regions."""
    pictures: dict[str, NDArray[np.uint8]]
    """By SOP Instance UID of the image: ``[rows, columns, 3]``, RGB."""
    reports: dict[str, StudyReport]
    """By Study Instance UID."""


def returned(objects: Sequence[Path]) -> Returned:
    """Read what the archive received."""
    findings: dict[str, tuple[Finding, ...]] = {}
    outlines: dict[str, dict[str, tuple[Point, ...]]] = {}
    pictures: dict[str, NDArray[np.uint8]] = {}
    reports: dict[str, StudyReport] = {}
    for path in objects:
        dataset = dcmread(path)
        kind = kind_of(dataset)
        if kind == "report":
            findings |= read_back.findings(dataset)
            reports[str(dataset.StudyInstanceUID)] = StudyReport(path, read_back.headline(dataset))
        elif kind == "sr":
            outlines |= read_back.regions(dataset)
        elif kind == "sc":
            image, pixels = read_back.picture(dataset)
            pictures[image] = pixels
    whole = {uid: read_back.outlined(found, outlines.get(uid, {})) for uid, found in findings.items()}
    return Returned(whole, pictures, reports)


def image_results(
    studies: Sequence[Mapping[str, Any]], back: Returned, folder: Path
) -> tuple[ImageResult, ...]:
    """Match what came back with what was sent, and write the pictures that came back as PNG files.

    Parameters
    ----------
    studies
        As ``audit.queries.study`` returns them.
    back
        What came back.
    folder
        For the pictures; made when there is one.
    """
    results: list[ImageResult] = []
    for study in studies:
        for row in study["instances"]:
            found = back.findings.get(row["instance"], ())
            drawn = back.pictures.get(row["instance"])
            picture = None
            if drawn is not None:
                picture = folder / f"{len(results) + 1}-{row['view'] or 'image'}.png"
                _write(picture, drawn)
            results.append(
                ImageResult(
                    study=study["study"],
                    instance=row["instance"],
                    view=row["view"],
                    verdict=row["verdict"],
                    why=str(row["error"] or row["reasons"][0]),
                    findings=found,
                    overlay=picture,
                )
            )
    return tuple(results)


def _write(path: Path, drawn: NDArray[np.uint8]) -> None:
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))
