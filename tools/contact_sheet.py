"""Phantoms beside real radiographs, on sheets for the eye: what gives the phantoms away?

    python tools/contact_sheet.py --real FOLDER --out sheets

Writes `beside.png`, phantoms to the left, and `mixed.png`, the same images in an order of chance, with
`mixed.txt` for which is which. The radiographs are read where they are; what is written shows them.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from xrv_node import frontal
from xrv_node.deliver.scu import files_in
from xrv_node.errors import ImageError
from xrv_node.phantom import phantom, truth
from xrv_node.radiograph.display import display
from xrv_node.radiograph.read import read
from xrv_node.values import Verdict

Picture = NDArray[np.uint8]

_GAP = 4
_APART = 40
"""Pixels between two pictures, and between both halves."""


def made(seed: int, rows: int) -> Picture:
    """A phantom with findings of chance; one in four lies in bed."""
    view = "AP" if seed % 4 == 3 else "PA"
    pixels = phantom.make(seed, view=view, findings=truth.named("any", seed), rows=rows).pixels
    return (pixels >> (phantom.BITS_STORED - 8)).astype(np.uint8)


def real(folders: Sequence[Path], count: int, seed: int, longest: int) -> list[tuple[Path, Picture]]:
    """Some of the frontal radiographs below these folders, drawn at random; a picture is taken for one."""
    files = files_in(folders)
    random.Random(seed).shuffle(files)  # noqa: S311  # which are looked at, and no secret
    found: list[tuple[Path, Picture]] = []
    for path in files:
        try:
            radiograph = read(path)
        except ImageError:
            continue
        header = radiograph.header
        if header is None or frontal.decide(header).verdict is Verdict.FRONTAL:
            found.append((path, display(radiograph, longest)))
        if len(found) == count:
            break
    return found


def cell(picture: Picture, size: int) -> Picture:
    """A picture in a square of its own, in its proportions."""
    rows, columns = picture.shape
    scale = size / max(rows, columns)
    small = cv2.resize(picture, (round(columns * scale), round(rows * scale)), interpolation=cv2.INTER_AREA)
    square: Picture = np.full((size + _GAP, size + _GAP), 96, np.uint8)
    top, left = (size - small.shape[0]) // 2, (size - small.shape[1]) // 2
    square[top : top + small.shape[0], left : left + small.shape[1]] = small
    return square


def sheet(pictures: Sequence[Picture], columns: int, size: int) -> Picture:
    """Pictures in rows."""
    cells = [cell(picture, size) for picture in pictures]
    empty = np.full_like(cells[0], 96)
    rows = [cells[first : first + columns] for first in range(0, len(cells), columns)]
    return np.vstack([np.hstack([*row, *[empty] * (columns - len(row))]) for row in rows])


def main() -> int:
    """Write the sheets."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--real", type=Path, nargs="+", required=True, help="folders of radiographs")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=24, help="of each")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", type=int, default=320, help="pixels of a picture's longer side")
    given = parser.parse_args()
    radiographs = real(given.real, given.count, given.seed, given.size)
    if not radiographs:
        print("there is no frontal radiograph below these folders", file=sys.stderr)
        return 1
    phantoms = [(f"seed {n}", made(n, 2 * given.size)) for n in range(given.seed, given.seed + given.count)]
    columns = max(1, round(given.count**0.5 * 0.8))
    halves = [sheet([p for _, p in half], columns, given.size) for half in (phantoms, radiographs)]
    tall = max(half.shape[0] for half in halves)
    halves = [np.pad(half, ((0, tall - half.shape[0]), (0, _APART)), constant_values=96) for half in halves]
    given.out.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(given.out / "beside.png"), np.hstack(halves))
    mixed = [*phantoms, *((path.name, picture) for path, picture in radiographs)]
    random.Random(given.seed).shuffle(mixed)  # noqa: S311
    cv2.imwrite(str(given.out / "mixed.png"), sheet([p for _, p in mixed], 2 * columns, given.size))
    key = [
        f"row {n // (2 * columns) + 1}, column {n % (2 * columns) + 1}: {who}"
        for n, (who, _) in enumerate(mixed)
    ]
    (given.out / "mixed.txt").write_text("\n".join(key) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
