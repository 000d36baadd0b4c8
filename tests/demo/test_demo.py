"""The demo on pictures of the user's own: what a first-time user does second."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import forked
import numpy as np
import shapes
from pydicom import dcmread
from serving import with_networks


def test_the_demo_takes_pictures_and_says_what_it_cannot_take(tmp_path: Path) -> None:
    pixels = shapes.radiograph("PA", rows=256)
    cv2.imwrite(str(tmp_path / "chest.png"), (pixels.astype(np.uint32) * 16).clip(0, 65535).astype(np.uint16))
    (tmp_path / "notes.png").write_text("this is no picture")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("XRV_NODE")}
    done = forked.run(
        [
            *forked.COMMAND, "demo", "--json", "--keep", "kept",
            "--images", "chest.png", "--images", "notes.png",
        ],
        cwd=tmp_path, env=with_networks(environment), capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["sent"] == 1
    (refused,) = outcome["refused"]
    assert refused.startswith("notes.png: ")
    (image,) = outcome["images"]
    assert image["verdict"] == "unknown"
    assert len(image["findings"]) == 18
    picture = cv2.imread(image["overlay"])
    assert picture is not None
    assert picture.shape[1] > picture.shape[0]
    kinds = sorted(dcmread(path).Modality for path in outcome["objects"])
    assert kinds == ["OT", "SEG", "SR", "SR"]
    (report,) = outcome["reports"].values()
    assert report["headline"]
    assert outcome["protocol"] is None
