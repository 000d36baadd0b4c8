"""From a file to the networks' inputs: here, and by torchxrayvision's own path.

    python tests/bench/bench_preprocess.py [--quick]

Both make the inputs of 224 and 512 pixels from the same file. torchxrayvision's path is what its documentation
shows: ``utils.load_image`` or pydicom, ``datasets.normalize``, ``XRayCenterCrop`` and ``XRayResizer``.

Both have one thread, as scikit-image has in any case: a worker reads several images at a time.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # read when numpy is imported

import benching
import cv2
import numpy as np
import torchxrayvision as xrv
from pydicom import dcmread

sys.path.append(str(Path(__file__).resolve().parents[1]))
import shapes

from xrv_node.radiograph.prepare import prepare_all
from xrv_node.radiograph.read import read

SIZES = (224, 512)


def ours(path: Path) -> dict[int, np.ndarray]:
    return prepare_all(read(path), SIZES)


def theirs(path: Path) -> dict[int, np.ndarray]:
    if path.suffix == ".dcm":
        dataset = dcmread(path)
        white = 2**dataset.BitsStored - 1
        image = xrv.datasets.normalize(dataset.pixel_array, white)[None]
    else:
        image = xrv.utils.load_image(str(path))
    square = xrv.datasets.XRayCenterCrop()(image)
    return {size: xrv.datasets.XRayResizer(size)(square)[0] for size in SIZES}


def files(folder: Path) -> dict[str, Path]:
    """A large detector's image of 16 bits, bare and with the window of its whole range, and a picture.

    torchxrayvision applies no window; that one leaves every value as it is, but has to be applied.
    """
    large = shapes.dicom("PA", rows=3000, columns=2500, seed=1)
    large.BitsStored, large.HighBit = 16, 15
    large.PixelData = (np.frombuffer(large.PixelData, "<u2") * 16).tobytes()
    windowed, bare, png = folder / "windowed.dcm", folder / "bare.dcm", folder / "small.png"
    large.WindowCenter, large.WindowWidth = 32768, 65536
    large.save_as(windowed, enforce_file_format=True)
    del large.WindowCenter, large.WindowWidth
    large.save_as(bare, enforce_file_format=True)
    cv2.imwrite(str(png), (shapes.radiograph("PA", seed=2) >> 4).astype(np.uint8))
    return {
        "DICOM 3000 x 2500, 16 bits": bare,
        "the same, with a window": windowed,
        "PNG 1024 x 1024, 8 bits": png,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="3 rounds in place of 15")
    rounds = 3 if parser.parse_args().quick else 15
    print(benching.machine(), end="\n\n")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, path in files(Path(folder)).items():
            a, b = theirs(path), ours(path)
            difference = max(float(np.abs(a[size] - b[size]).max()) for size in SIZES)
            taken = benching.alternate(
                {"theirs": lambda p=path: theirs(p), "ours": lambda p=path: ours(p)}, rounds
            )
            slow, fast = benching.medians(taken["theirs"]), benching.medians(taken["ours"])
            rows.append(
                [
                    name,
                    f"{slow[0] * 1000:.1f} / {slow[1] * 1000:.1f}",
                    f"{fast[0] * 1000:.1f} / {fast[1] * 1000:.1f}",
                    f"{benching.ratio(taken['theirs'], taken['ours'], 0):.1f}",
                    f"{benching.ratio(taken['theirs'], taken['ours'], 1):.1f}",
                    f"{difference:.1e}",
                ]
            )
    benching.table(
        [
            "file to 224 and 512",
            "torchxrayvision ms (wall / CPU)",
            "xrv-node ms",
            "times faster, wall",
            "CPU",
            "largest difference of [-1024, 1024]",
        ],
        rows,
    )


if __name__ == "__main__":
    main()
