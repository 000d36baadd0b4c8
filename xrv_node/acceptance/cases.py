"""What is sent, a case a row: each drawable finding, normals, views, ways of writing an image, ways of
sending it, and what must not be answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from xrv_node.phantom.findings import DRAWABLE
from xrv_node.phantom.objects import Sending

Manner = Literal["at once", "again", "side by side"]
"""One association; the same once more after the answer; each image on an association of its own at the same
time."""
Group = Literal["finding", "normal", "view", "coding", "study", "trap"]


PLAIN = Sending()


@dataclass(frozen=True, slots=True)
class Shot:
    """One image."""

    findings: tuple[str, ...] = ()
    view: Literal["PA", "AP", "LATERAL"] = "PA"
    supine: bool = False
    """Whether its header says that the patient lies; an AP view is taken lying in any case."""
    marked: bool = True
    """Whether the mark by which a phantom is known is in its pixels."""
    sending: Sending = PLAIN
    """How it is written."""
    altered: str = ""
    """Key of `alterations.ALTERATIONS`: what else it is than a phantom's radiograph."""
    answered: bool = True
    """Whether findings and masks are to come of it."""
    reason: str = ""
    """Key of the reason for which it is not."""


@dataclass(frozen=True, slots=True)
class Case:
    """One study."""

    name: str
    """What it is about, for people; no two are called the same."""
    group: Group
    shots: tuple[Shot, ...]
    manner: Manner = "at once"
    short: bool = False
    """Whether it is one of the few of the short form."""


_SHORT = ("Effusion", "Pneumothorax", "Cardiomegaly")
"""The findings of the short form: the two of which none may be missed, and the one that is measured."""

_CODINGS: dict[str, Sending] = {
    "MONOCHROME1, CR": Sending("CR", "MONOCHROME1"),
    "Implicit VR Little Endian": Sending(syntax="implicit"),
    "JPEG Lossless": Sending(syntax="jpeg-lossless"),
    "JPEG 2000 Lossless": Sending(syntax="j2k-lossless"),
    "RLE Lossless, CR": Sending("CR", syntax="rle"),
}
"""Beside MONOCHROME2, DX and Explicit VR Little Endian of all others."""

_TRAPS: tuple[tuple[str, Shot], ...] = (
    ("a hand", Shot(altered="hand", marked=False, answered=False)),
    ("a CT slice", Shot(altered="ct", marked=False, answered=False)),
    ("a physical phantom", Shot(altered="physical phantom", marked=False, answered=False)),
    ("a truncated file", Shot(altered="truncated", answered=False)),
    ("unmarked, as a patient's", Shot(altered="patient", marked=False, answered=False)),
    ("unmarked, called quality control", Shot(marked=False, answered=False)),
)

CASES: tuple[Case, ...] = (
    *(Case(finding, "finding", (Shot((finding,)),), short=finding in _SHORT) for finding in DRAWABLE),
    *(Case(f"normal {n}", "normal", (Shot(),), short=n == 1) for n in range(1, 5)),
    Case(
        "PA with lateral",
        "view",
        (Shot(), Shot(view="LATERAL", answered=False, reason="view-lateral")),
        short=True,
    ),
    Case("AP", "view", (Shot(view="AP"),)),
    Case("supine", "view", (Shot(view="AP", supine=True, sending=Sending("CR")),)),
    *(
        Case(name, "coding", (Shot(sending=how),), short=how.photometric == "MONOCHROME1")
        for name, how in _CODINGS.items()
    ),
    Case("three images", "study", (Shot(), Shot(view="AP"), Shot(("Effusion",)))),
    Case("sent twice", "study", (Shot(),), "again"),
    Case("two associations at the same time", "study", (Shot(), Shot(view="AP")), "side by side"),
    Case("another patient's name under way", "trap", (Shot(), Shot(altered="another patient"))),
    *(Case(name, "trap", (shot,), short=shot.altered == "patient") for name, shot in _TRAPS),
)


def chosen(*, short: bool) -> tuple[Case, ...]:
    """The cases of a run, in the order in which they are sent."""
    return tuple(case for case in CASES if case.short or not short)
