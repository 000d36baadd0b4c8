"""Made results of made images: what the comparison is tried on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from xrv_node.acceptance.arrived import ArrivedObject
from xrv_node.acceptance.cases import Case, Manner, Shot
from xrv_node.acceptance.expected import COMPARED, ExpectedCase, ExpectedImage, Sending
from xrv_node.values import PHANTOM_WORDS, Finding

SIZE = 512
LABELS = ("Effusion", "Pneumothorax", "Nodule", "Mass", "Hernia")


def masks(shift: int = 0) -> dict[str, np.ndarray]:
    """Ellipses where lungs and heart are, `shift` pixels lower and farther to the right."""
    rows, columns = np.mgrid[:SIZE, :SIZE] - shift
    centres = {
        "Left Lung": (250, 350, 170, 80),
        "Right Lung": (250, 160, 180, 85),
        "Heart": (320, 280, 70, 75),
    }
    return {
        name: ((rows - r) / high) ** 2 + ((columns - c) / wide) ** 2 < 1
        for name, (r, c, high, wide) in centres.items()
    }


def image(number: int = 1, drawn: tuple[str, ...] = (), *, answered: bool = True) -> ExpectedImage:
    """One image of one study and patient."""
    return ExpectedImage(
        instance=f"1.2.{number}",
        study="1.9",
        patient_id="P1",
        patient_name="PHANTOM^ONE",
        rows=SIZE,
        columns=SIZE,
        path=Path(f"{number}.dcm"),
        answered=answered,
        findings={label: label in drawn for label in LABELS} if answered else {},
        masks=masks() if answered else {},
    )


def case(*images: ExpectedImage, manner: Manner = "at once", name: str = "a case") -> ExpectedCase:
    """A case of these images."""
    return ExpectedCase(Case(name, "normal", (Shot(),) * len(images), manner), images)


def sent(expected: ExpectedCase, at: float = 10.0) -> list[Sending]:
    """All of them taken."""
    return [Sending(one.instance, "0x0000", True, at) for one in expected.images]


def scores(of: ExpectedImage, wrong: tuple[str, ...] = ()) -> tuple[Finding, ...]:
    """Scores on the right side, but for these."""
    right = {label: 0.9 if there else 0.1 for label, there in of.findings.items()}
    return tuple(Finding(n, 1 - s if n in wrong else s, float("nan")) for n, s in right.items())


def answers(
    expected: ExpectedCase, *, shift: int = 0, wrong: tuple[str, ...] = (), at: float = 15.0
) -> dict[str, ArrivedObject]:
    """What a good node makes of a case: by kind, with the image's number where there is one for each."""
    answered = [one for one in expected.images if one.answered]
    whole = ArrivedObject(
        kind="report",
        instance="1.3.1",
        study="1.9",
        patient_id="P1",
        patient_name="PHANTOM^ONE",
        images=frozenset(one.instance for one in expected.images),
        at=at,
        series=f"AI findings - {PHANTOM_WORDS}",
        findings={one.instance: scores(one, wrong) for one in answered},
        reasons=("a lateral view",) if len(answered) < len(expected.images) else (),
    )
    found = {
        "report": whole,
        "sr": replace(whole, kind="sr", instance="1.3.2", findings={}, reasons=()),
    }
    for number, one in enumerate(answered, 1):
        own: Mapping[str, object] = {"images": frozenset([one.instance]), "findings": {}, "reasons": ()}
        placed = {name: masks(shift)[name] for name in COMPARED}
        found[f"seg {number}"] = replace(
            whole, kind="seg", instance=f"1.4.{number}", size=(SIZE, SIZE), masks=placed, **own
        )
        found[f"sc {number}"] = replace(whole, kind="sc", instance=f"1.5.{number}", **own)
    return found


def failures(row: object) -> list[str]:
    """The names of the checks that are not good."""
    return [check.name for check in row.checks if not check.good]
