"""How much a score moves when the same person is exposed again: what a change must exceed to be one.

    python tests/bench/bench_repeat.py [--persons 4]

A phantom with a finding is exposed twice: the same body and the same finding, drawn at three strengths so
that scores fall on the whole scale; noise is drawn anew, and the person stands up to 8 mm and one degree
otherwise. The device is the same one: a hospital compares with what its own devices made. Scored are the labels that the phantom's classifier has, all of them on each
pair. Printed are the repeatability coefficient (Bland and Altman, Lancet 1986;327:307), which 95 of 100
differences stay below were they normal, and how often a score's call is another one on the other exposure, by
where the score lies.

`xrv_node.report.certainty.REPEAT` is the coefficient, rounded up.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2]))

import benching
import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from xrv_node.models import phantom_set
from xrv_node.models.inputs import LIMIT
from xrv_node.phantom import detector, template
from xrv_node.phantom.composition import compose
from xrv_node.phantom.findings import DRAWABLE
from xrv_node.phantom.pose import draw
from xrv_node.phantom.projection import Layers, project

STRENGTHS = (0.3, 0.6, 1.0)
OPERATING = 50.0
BANDS = ((0.0, 20.0), (20.0, 42.0), (42.0, 58.0), (58.0, 80.0), (80.0, 100.1))
"""Of a score's scale of 100."""
SHIFT_MM, TURN_DEGREES = 8.0, 1.0


def exposed(layers: Layers, finding: str, strength: float, seed: int, exposure: int) -> NDArray[np.float32]:
    """Return one image of a person whom the seed decides, ``[n, n]`` in [-1024, 1024]."""
    again = np.random.default_rng((seed, exposure))
    device = detector.draw(np.random.default_rng((seed, 0)))
    dice = np.random.default_rng(seed)
    image = compose(layers, (finding,), dice, conspicuity=strength, look=device, noise=again)
    n = len(image.picture)
    across, down = again.uniform(-SHIFT_MM, SHIFT_MM, 2) / image.spacing
    moved = cv2.getRotationMatrix2D((n / 2, n / 2), float(again.uniform(-TURN_DEGREES, TURN_DEGREES)), 1.0)
    moved[:, 2] += across, down
    picture = cv2.warpAffine(image.picture, moved, (n, n), borderMode=cv2.BORDER_REPLICATE)
    return (picture * 2 - 1) * np.float32(LIMIT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--persons", type=int, default=4)
    persons = parser.parse_args().persons
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    print(benching.machine(), end="\n\n")
    classifier, source = phantom_set().classifier, template.load("a")
    found = []
    for person in range(persons):
        layers = project(source, draw(np.random.default_rng((person, 7))), "PA", classifier.size)
        for number, finding in enumerate(DRAWABLE):
            for strength in STRENGTHS:
                seed = 1000 * person + 10 * number + STRENGTHS.index(strength)
                pair = [exposed(layers, finding, strength, seed, exposure) for exposure in (1, 2)]
                with torch.inference_mode():
                    batch = torch.from_numpy(np.stack(pair)[:, np.newaxis])
                    found.append(100 * classifier.scores(classifier.forward_with_map(batch)[0]).numpy())
    scores = np.array(found)  # [pair, exposure, label]
    differences = scores[:, 0] - scores[:, 1]
    within = float(np.sqrt((differences**2).mean() / 2))
    print(
        f"{differences.size} pairs: standard deviation within a person {within:.1f}, repeatability coefficient "
        f"{1.96 * 2**0.5 * within:.1f}; 95 of 100 pairs differ by less than "
        f"{np.percentile(abs(differences), 95):.1f}"
    )
    one, other = scores.reshape(-1, differences.shape[1]), scores[:, ::-1].reshape(-1, differences.shape[1])
    for low, high in BANDS:
        there = (one >= low) & (one < high)
        flipped = (one[there] >= OPERATING) != (other[there] >= OPERATING)
        print(f"a score of {low:g} to {high:g}: {there.sum()}, called otherwise again: {flipped.mean():.0%}")


if __name__ == "__main__":
    main()
