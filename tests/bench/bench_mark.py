"""How surely the mark of a phantom is found after what happens to images, and how nearly real ones have it.

    python tests/bench/bench_mark.py [--quick] [folder of real images ...]

The folders are searched with everything below them; without any it is ``../shared/data``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import benching
import cv2
import numpy as np
from numpy.typing import NDArray

from xrv_node.errors import ImageError
from xrv_node.folders import below
from xrv_node.phantom import phantom
from xrv_node.phantom.mark import find, stamp
from xrv_node.radiograph.read import read

Plane = NDArray[np.float32]
WHITE = 4095.0


def jpeg(image: Plane, quality: int) -> Plane:
    levels = np.clip(image / WHITE * 255, 0, 255).astype(np.uint8)
    data = cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.float32)


def half(image: Plane) -> Plane:
    rows, columns = image.shape
    small = cv2.resize(image, (columns // 2, rows // 2), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (columns, rows)), np.float32)


def crop(image: Plane) -> Plane:
    rows, columns = image.shape
    return np.ascontiguousarray(image[: rows * 9 // 10, columns // 10 :])


def rescaled(image: Plane) -> Plane:
    return np.asarray(cv2.resize(crop(image), image.shape[::-1], interpolation=cv2.INTER_CUBIC), np.float32)


def turn(image: Plane, degrees: float) -> Plane:
    rows, columns = image.shape
    matrix = cv2.getRotationMatrix2D((columns / 2, rows / 2), degrees, 1)
    return np.asarray(cv2.warpAffine(image, matrix, (columns, rows)), np.float32)


def photograph(image: Plane) -> Plane:
    """A screen from slightly aside: perspective of 0.75 % of the width at the corners, blur and noise of 1 %."""
    rows, columns = image.shape
    rng = np.random.default_rng(0)
    corners = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], np.float32)
    seen = corners + rng.uniform(-0.0075, 0.0075, (4, 2)).astype(np.float32) * columns
    view = cv2.warpPerspective(image, cv2.getPerspectiveTransform(corners, seen), (columns, rows))
    return np.asarray(
        cv2.GaussianBlur(view, (0, 0), 0.7) + rng.normal(0, 0.01 * WHITE, image.shape), np.float32
    )


WAYS: dict[str, Callable[[Plane], Plane]] = {
    "as it is": lambda image: image,
    "JPEG 75": lambda image: jpeg(image, 75),
    "JPEG 50": lambda image: jpeg(image, 50),
    "half the size and back": half,
    "gamma 0.5": lambda image: (image / WHITE) ** np.float32(0.5),
    "inverted": lambda image: WHITE - image,
    "window of a third": lambda image: np.clip((image - 1200) / 1400, 0, 1),
    "a tenth cut off": crop,
    "a tenth cut off, rescaled": rescaled,
    "turned by 1 degree": lambda image: turn(image, 1),
    "turned by 2 degrees": lambda image: turn(image, -2),
    "turned by 1 degree, JPEG 75": lambda image: jpeg(turn(image, 1), 75),
    "photograph of a screen": photograph,
}


def changed(images: list[Plane]) -> list[list[str]]:
    rows = []
    for name, way in WAYS.items():
        marked = [way(stamp(image, WHITE)) for image in images]
        plain = [find(image, search=False).z for image in marked]
        began = time.process_time()
        found = [find(image).z for image in marked]
        seconds = (time.process_time() - began) / len(images)
        bare = [find(way(image)).z for image in images]
        rows.append(
            [name, f"{min(plain):.1f}", f"{min(found):.1f}", f"{max(bare):.1f}", f"{1000 * seconds:.0f}"]
        )
    return rows


def real(folders: list[Path], quick: bool) -> list[list[str]]:
    rows = []
    for folder in folders:
        plain, searched, unread = [], [], 0
        for path in sorted(below(folder, print))[:: 10 if quick else 1]:
            if "mask" in path:
                continue
            try:
                picture = np.asarray(read(folder / path).pixels, np.float32)
            except ImageError:
                unread += 1
                continue
            plain.append(find(picture, search=False).z)
            searched.append(find(picture).z)
        highest = [f"{max(z):.2f}" if z else "" for z in (plain, searched)]
        rows.append([str(folder), str(len(plain)), str(unread), *highest])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("folders", nargs="*", type=Path)
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    for rows in (512,) if asked.quick else (512, 1024):
        images = [
            phantom.make(seed, view=view, rows=rows, marked=False).pixels.astype(np.float32)
            for seed, view in enumerate(("PA", "AP", "LATERAL") * (1 if asked.quick else 2))
        ]
        print(f"\n{len(images)} phantoms of {rows} rows: lowest z with the mark, highest without")
        headings = ["", "plain", "searched", "no mark", "ms"]
        benching.table(headings, changed(images))
    folders = asked.folders or [Path("../shared/data", name) for name in ("views", "nih", "dicom")]
    if found := real(folders, asked.quick):
        print("\nHighest z of real images")
        benching.table(["", "images", "no images", "plain", "searched"], found)


if __name__ == "__main__":
    main()
