"""Finding the images of a dataset of 100,000 files in linked folders, beside a walk with ``os.walk`` alone."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from xrv_node.lab.datasets.load import load

FILES, FOLDERS = 100_000, 100


def write(here: Path, disk: Path) -> None:
    """Empty files with NIH's names on one disk, and links to their folders beside the label file."""
    lines = ["Image Index,Finding Labels,Patient ID,Patient Age,Patient Sex,View Position"]
    here.mkdir()
    for folder in range(FOLDERS):
        place = disk / f"images_{folder:03d}" / "images"
        place.mkdir(parents=True)
        for number in range(folder, FILES, FOLDERS):
            name = f"{number:08d}_000.png"
            (place / name).touch()
            lines.append(f"{name},No Finding,{number},57,M,PA")
        (here / place.parent.name).symlink_to(place.parent)
    (here / "Data_Entry_2017_v2020.csv").write_text("\n".join(lines) + "\n")


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        here = Path(temporary, "here")
        write(here, Path(temporary, "disk"))
        load("nih", here)  # imports pandas
        began = perf_counter()
        walked = sum(len(files) for _, _, files in os.walk(here, followlinks=True))
        walking = perf_counter() - began
        began = perf_counter()
        table = load("nih", here)
        loading = perf_counter() - began
        found = sum(map(os.path.isfile, (here / image for image in table.csv["image"])))
    print(f"os.walk alone: {walked} files in {walking:.2f} s")
    print(
        f"load: {found} of {len(table)} images found in {loading:.2f} s, {loading / walking:.1f} times as long"
    )
    sys.exit(found != FILES)


if __name__ == "__main__":
    main()
