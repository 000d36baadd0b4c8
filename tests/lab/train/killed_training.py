"""A training in a process of its own, on the images and with the checkpoints that its arguments say.

``python killed_training.py IMAGES OUT STEPS``: kills itself after so many steps, as a power cut would.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import torch
import trained

from xrv_node.lab.train.recipe import load
from xrv_node.lab.train.run import train

RECIPE = {
    "init": "scratch",
    "batch": 4,
    "epochs": 3,
    "learning_rate": 0.01,
    "valid_share": 0.2,
    "test_share": 0.2,
    "checkpoint_steps": 2,
}


def run(images: Path, out: Path, steps: int = 0, *, resume: bool = False) -> None:
    """Train; be killed after so many steps, 0: never."""

    def on_step(done: int, _: int) -> None:
        if done == steps:
            os.kill(os.getpid(), signal.SIGKILL)

    table = trained.table(images, 32)
    recipe = load(**RECIPE)
    train([table], recipe, out, images, name="killed", device="cpu", resume=resume, on_step=on_step)


if __name__ == "__main__":
    torch.set_num_threads(1)
    trained.install()
    run(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
