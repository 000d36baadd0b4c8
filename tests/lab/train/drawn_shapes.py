"""Images to train small networks on in seconds: discs and blocks in grey noise, by their number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xrv_node.lab.train.steps.origins import Origins, Read
from xrv_node.lab.train.steps.plan import Plan

SIZE = 64
STRUCTURES = ("Left Lung", "Right Lung", "Heart")


@dataclass(frozen=True)
class Shapes:
    """A "Mass" is a bright disc, an "Effusion" a bright block below; two dark lungs and a bright heart."""

    seed: int = 0
    size: int = SIZE
    findings: tuple[str, ...] = ("Effusion", "Mass")
    structures: tuple[str, ...] = STRUCTURES

    def open(self) -> Shapes:
        return self

    def sample(self, number: int) -> Read:
        random = np.random.default_rng((self.seed, number))
        rows, columns = np.mgrid[: self.size, : self.size]
        image = random.normal(0, 60, (self.size, self.size))
        masks = np.zeros((3, self.size, self.size), bool)
        shift = int(random.integers(-4, 5))
        masks[0, 12:44, 36 + shift : 54 + shift] = True
        masks[1, 12:44, 10 + shift : 28 + shift] = True
        masks[2] = (rows - 36) ** 2 + (columns - 34 - shift) ** 2 < 80
        image[masks[0] | masks[1]] -= 500
        image[masks[2]] += 400
        places = np.zeros((2, self.size, self.size), bool)
        present = random.random(2) < 0.4
        if present[0]:
            places[0, 36:44, 36 + shift : 54 + shift] = True
        if present[1]:
            row, column = random.integers(16, 34), random.integers(12, 26) + shift
            places[1] = (rows - row) ** 2 + (columns - column) ** 2 < 30
        image[places.any(axis=0)] += 600
        return Read(image.clip(-1024, 1024).astype(np.float32), present.astype(np.float32), places, masks)


def origins() -> Origins:
    """Other seeds for each use."""
    return Origins(Shapes(0), Shapes(1), Shapes(2), (("others", Shapes(3), 60),))


def plan(kind: str, **given: object) -> Plan:
    """Of a training of a few seconds."""
    told = {
        "phantoms": {},
        "size": SIZE,
        "steps": 40,
        "batch": 12,
        "fresh": 6,
        "memory": 60,
        "processes": 0,
        "precision": "float32",
        "measured": {"images": 60, "watched": 40, "looks": 4, "anatomies": ["a"]},
    }
    return Plan(kind=kind, **told | given)
