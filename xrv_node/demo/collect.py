"""What came back: objects read as any program would read them, and a picture of each analysed image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread

from xrv_node.radiograph.read import read
from xrv_node.report import reading
from xrv_node.report.kinds import kind_of
from xrv_node.report.overlay import overlay
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
    structures: dict[str, tuple[tuple[str, ...], NDArray[np.bool_]]]
    """By SOP Instance UID of the image: names and masks ``[structures, rows, columns]``."""
    reports: dict[str, StudyReport]
    """By Study Instance UID."""


def returned(objects: Sequence[Path]) -> Returned:
    """Read what the archive received."""
    findings: dict[str, tuple[Finding, ...]] = {}
    outlines: dict[str, dict[str, tuple[Point, ...]]] = {}
    structures: dict[str, tuple[tuple[str, ...], NDArray[np.bool_]]] = {}
    reports: dict[str, StudyReport] = {}
    for path in objects:
        dataset = dcmread(path)
        kind = kind_of(dataset)
        if kind == "report":
            findings |= reading.findings(dataset)
            reports[str(dataset.StudyInstanceUID)] = StudyReport(path, reading.headline(dataset))
        elif kind == "sr":
            outlines |= reading.regions(dataset)
        elif kind == "seg":
            image, names, masks = reading.masks(dataset)
            structures[image] = names, masks
    whole = {uid: reading.outlined(found, outlines.get(uid, {})) for uid, found in findings.items()}
    return Returned(whole, structures, reports)


def image_results(
    studies: Sequence[dict[str, Any]], back: Returned, data_dir: Path, pictures: Path
) -> tuple[ImageResult, ...]:
    """Match what came back with what was sent, and draw each image that has findings into `pictures`.

    Parameters
    ----------
    studies
        As ``audit.queries.study`` returns them.
    """
    results: list[ImageResult] = []
    for study in studies:
        for row in study["instances"]:
            found = back.findings.get(row["instance"], ())
            picture = pictures / f"{len(results) + 1}-{row['view'] or 'image'}.png" if found else None
            if picture is not None:
                _draw(picture, data_dir / row["path"], row, back)
            results.append(
                ImageResult(
                    study=study["study"],
                    instance=row["instance"],
                    view=row["view"],
                    verdict=row["verdict"],
                    why=row["error"] or row["reasons"][0],
                    findings=found,
                    overlay=picture,
                )
            )
    return tuple(results)


def _draw(path: Path, source: Path, row: dict[str, Any], back: Returned) -> None:
    import cv2

    radiograph = read(source)
    span = max(radiograph.high - radiograph.low, 1)
    grey = np.clip((radiograph.pixels.astype(np.float32) - radiograph.low) / span * 255, 0, 255)
    nothing: tuple[tuple[str, ...], NDArray[np.bool_]] = (), np.zeros((0, *grey.shape), dtype=np.bool_)
    names, masks = back.structures.get(row["instance"], nothing)
    drawn = overlay(
        grey.astype(np.uint8),
        names,
        masks,
        back.findings[row["instance"]],
        commissioning=any(a["commissioning"] for a in row["analyses"]),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))
