"""``truth.json``: what is true of the phantoms that were written beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from xrv_node.errors import ConfigError
from xrv_node.phantom import findings, phantom, template
from xrv_node.phantom.objects import Patient, Sending, dicom
from xrv_node.product import VERSION

FILE = "truth.json"
MASKS = "masks"

WHAT = "Digital chest phantoms of xrv-node and what is true of them. No image shows a patient."


@dataclass(frozen=True, slots=True)
class Request:
    """One image to make."""

    seed: int
    view: str = "PA"
    findings: tuple[str, ...] = ()
    rows: int = 1024
    columns: int | None = None
    anatomy: str = "a"
    marker: str = "L"

    def make(self) -> phantom.Phantom:
        """Make it."""
        return phantom.make(**asdict(self))


def named(words: str, seed: int) -> tuple[str, ...]:
    """Return findings that a person named, with commas between; ``any`` draws none to three by a seed.

    Small letters will do, and a blank for an underscore.
    """
    if words.strip().lower() == "any":
        return findings.choose(np.random.default_rng((seed, 11)))
    known = {name.lower().replace("_", " "): name for name in findings.DRAWABLE}
    asked = [word.strip() for word in words.split(",") if word.strip()]
    return tuple(known.get(word.lower().replace("_", " "), word) for word in asked)


def write(
    directory: Path, requests: Sequence[Request], sending: Sending, *, masks: bool = True
) -> list[Path]:
    """Make phantoms and write each as a DICOM file, with their truth beside them.

    Parameters
    ----------
    directory
        Made where it is missing; its ``truth.json`` is written anew.
    requests
        An image each, of a study and a patient of its own.
    sending
        How all of them are written.
    masks
        Whether every finding and structure is written as a PNG too, in ``masks/``.

    Returns
    -------
    list of Path
        The DICOM files, in order.

    Raises
    ------
    ConfigError
        From `phantom.make`, where something asked for there is not.
    """
    directory.mkdir(parents=True, exist_ok=True)
    paths, told = [], []
    for request in requests:
        made = request.make()
        patient = Patient(f"PHANTOM^{request.anatomy.upper()}{request.seed}", f"PHANTOM-{request.seed}")
        dataset = dicom(made, sending, patient=patient, study=request.seed)
        paths.append(directory / f"phantom-{request.seed:05d}-{request.view}.dcm")
        dataset.save_as(paths[-1], enforce_file_format=True)
        told.append(
            {"file": paths[-1].name}
            | asdict(request)
            | asdict(sending)
            | {"bits": sending.stored_bits}
            | _identity(dataset)
            | _of_image(made, directory / MASKS / paths[-1].stem if masks else None, directory)
        )
    document = {"what": WHAT, "versions": versions(), "images": told}
    (directory / FILE).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return paths


def versions() -> dict[str, str]:
    """Return what decides the pixels beside the seed."""
    return (
        {"xrv-node": VERSION}
        | {name: version(name) for name in ("numpy", "opencv-python-headless", "pydicom", "imagecodecs")}
        | {f"anatomy {name}": template.digest(name) for name in template.NAMES}
    )


def image_of(path: Path) -> tuple[dict[str, Any], Path]:
    """Return what ``truth.json`` beside a file tells of it, and the directory.

    Raises
    ------
    ConfigError
        If there is none, or it does not name the file.
    """
    file = path.parent / FILE
    try:
        images = json.loads(file.read_text(encoding="utf-8"))["images"]
        return next(image for image in images if image["file"] == path.name), path.parent
    except (OSError, ValueError, KeyError, TypeError, StopIteration) as error:
        raise ConfigError(
            f"{file} does not tell of {path.name}: show a file where `phantom make` wrote it"
        ) from error


def _identity(dataset: Dataset) -> dict[str, str]:
    return {
        "patient_id": str(dataset.PatientID),
        "study_uid": str(dataset.StudyInstanceUID),
        "series_uid": str(dataset.SeriesInstanceUID),
        "sop_instance_uid": str(dataset.SOPInstanceUID),
        "transfer_syntax": str(dataset.file_meta.TransferSyntaxUID),
    }


def _of_image(made: phantom.Phantom, folder: Path | None, root: Path) -> dict[str, Any]:
    places = {
        name: {"side": place.side, "size_mm": round(place.size_mm, 1)} | _area(place.mask)
        for name, place in made.places.items()
    }
    structures = {name: _area(mask) for name, mask in made.masks.items()}
    if folder is not None:
        found = {name: place.mask for name, place in made.places.items()}
        for group, masks in ((places, found), (structures, made.masks)):
            _save(group, masks, folder, root)
    return {
        "spacing_mm": round(made.spacing, 4),
        "findings": made.findings,
        "cardiothoracic_ratio": round(made.cardiothoracic_ratio, 3),
        "places": places,
        "structures": structures,
    }


def _save(
    group: dict[str, dict[str, Any]], masks: Mapping[str, NDArray[np.bool_]], folder: Path, root: Path
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, mask in masks.items():
        file = folder / f"{name.replace(' ', '_')}.png"
        cv2.imwrite(str(file), mask.astype(np.uint8) * 255)
        group[name]["mask"] = file.relative_to(root).as_posix()


def _area(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Return a mask's box (first row and column, last ones plus one; none when empty) and pixels."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = [int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1] if len(rows) else None
    return {"box": box, "pixels": int(mask.sum())}
