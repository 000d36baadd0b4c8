"""Writes the inputs to begin with: ``python tests/fuzz/fuzz_seeds.py`` (dcmtk makes the lossless JPEG).

What a run has found stays beside them in ``corpus/``, under a name of its own.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
ENTRIES = ("archive", "association", "dataset", "pixels", "stow")
"""The ways in: each has a harness ``fuzz_<entry>.py`` with ``entry`` and ``seeds``."""

Run = Callable[[bytes], None]


def entry(name: str, directory: Path) -> Run:
    """The function of one harness that takes an input."""
    run: Run = importlib.import_module(f"fuzz_{name}").entry(directory)
    return run


def corpus(name: str) -> list[Path]:
    """The kept inputs of an entry."""
    return sorted((CORPUS / name).iterdir())


def _jpeg_lossless(file: bytes) -> bytes:
    """The frame of a DICOM file as lossless JPEG, which no library here writes."""
    from pydicom import dcmread
    from pydicom.encaps import get_frame

    with tempfile.TemporaryDirectory() as name:
        plain, coded = Path(name, "plain.dcm"), Path(name, "coded.dcm")
        plain.write_bytes(file)
        subprocess.run(["dcmcjpeg", "+e1", "+un", plain, coded], check=True)
        return get_frame(dcmread(coded).PixelData, 0, number_of_frames=1)


def main() -> None:
    """Write them all."""
    for name in ENTRIES:
        found: dict[str, bytes] = importlib.import_module(f"fuzz_{name}").seeds()
        if name == "pixels":
            found["JPEGLosslessSV1"] = b"\2" + _jpeg_lossless(found["file"][1:])
        folder = CORPUS / name
        folder.mkdir(parents=True, exist_ok=True)
        for seed, data in found.items():
            (folder / f"{seed}.bin").write_bytes(data)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    main()
