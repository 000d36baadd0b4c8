"""What the protocol says, for the page and for paper alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xrv_node.acceptance.compare import NEVER
from xrv_node.acceptance.protocol import ONE_IN, SHARE, Protocol, Verdict
from xrv_node.acceptance.row import Row
from xrv_node.acceptance.segmentations import FARTHEST, LEAST_DICE
from xrv_node.values import PHANTOM_WORDS

TITLE = "Acceptance test of a DICOM node for chest radiographs"
WARNING = f"{PHANTOM_WORDS}. No figure here says how the node does on patients."
ACCEPTED, NOT_ACCEPTED = "Accepted: all as it should be.", "Not accepted."
SHORT = "A few cases: all as it should be. A node is accepted with the full form."
PURPOSE = (
    "Digital phantoms, whose findings and anatomy are known, were sent as a PACS sends radiographs; what "
    "came back was compared with the truth where results are kept. It tries what lies between: routes, "
    "queue, decoding, the phantom model set, objects and their delivery, on this machine with these "
    "versions. Local acceptance testing before use and after each change, monitoring with stop rules, and "
    "an inventory of versions are what the ACR-SIIM Practice Parameter for Imaging Artificial Intelligence "
    "(2026) asks of a site. How well the networks for patients do on the site's own patients is for its "
    "validation to say, and no part of this test."
)
LIMITS = (
    f"Limits: of the findings that are drawn, and of those that are not, one in {ONE_IN} may be on the "
    f"wrong side of its operating point, {' and '.join(NEVER)} never; Dice of lungs and heart at least "
    f"{LEAST_DICE}; a segmentation has the image's rows and columns, and its outlines lie within "
    f"{FARTHEST:.2%} of the longer side of the image's; every object has its image's patient and study; "
    f"nothing is lost, nothing comes twice, and nothing is said of what must not be answered; {SHARE:.0%} "
    "of the cases are answered within the limit of time."
)
STOP = (
    "If it is not accepted, or fails later: do not use the node's results, find the cause, and repeat the "
    "whole test after the repair."
)
SIGNATURES = ("Tested by", "Responsible medical physicist or informatics lead", "Responsible radiologist")
COLOURS: dict[Verdict, str] = {"pass": "good", "tolerated": "look", "fail": "bad"}


@dataclass(frozen=True, slots=True)
class Line:
    """One case, as it is read."""

    name: str
    verdict: Verdict
    sent: str
    expected: str
    arrived: str
    seconds: str
    amiss: tuple[str, ...]
    """What was not as it should be, and findings on the wrong side."""
    measured: str
    identifiers: tuple[str, ...]
    """What each is, and its UID."""


def verdict(protocol: Protocol) -> str:
    """What stands first."""
    if not protocol.good:
        return NOT_ACCEPTED
    return SHORT if protocol.header.short else ACCEPTED


def fields(protocol: Protocol) -> list[tuple[str, str]]:
    """The header: name and value."""
    header = protocol.header
    return [
        ("Date", f"{header.began:%Y-%m-%d %H:%M %Z}, {header.seconds:.0f} s"),
        ("Tester", header.tester or "not named"),
        ("Form", ("short" if header.short else "full") + f", seed {header.seed}"),
        ("Images to", header.node),
        ("Results at", header.archive),
        ("Limit of time", f"{header.limit_seconds:g} s"),
        *((f"{name}", value) for name, value in header.software.items()),
        ("Versions in the objects", _lines(header.versions) or "none came"),
        ("Networks", _lines(header.models) or "none named"),
        ("Destinations of the node", _lines(header.destinations) or "its configuration was not at hand"),
    ]


def lines(protocol: Protocol) -> list[Line]:
    """The cases."""
    return [_line(row, verdict) for row, verdict in protocol.table]


def _line(row: Row, verdict: Verdict) -> Line:
    amiss = [f"{check.name}: {check.says}" for check in row.checks if not check.good]
    wrong = [d for d in row.decisions if not d.right]
    told = [
        f"{d.label} {'missed' if d.drawn else 'found and not drawn'}, score {d.score:.2f}"
        for d in wrong
        if d.arrived
    ]
    worst = min((overlap.dice for overlap in row.overlaps), default=None)
    figures = [
        *([f"findings {len(row.decisions) - len(wrong)} of {len(row.decisions)}"] if row.decisions else []),
        *([f"Dice from {worst:.3f}"] if worst is not None else []),
    ]
    return Line(
        name=row.name.replace("_", " "),
        verdict=verdict,
        sent=row.sent,
        expected=row.expected.replace("_", " "),
        arrived=row.arrived,
        seconds="" if row.seconds is None else f"{row.seconds:.1f}",
        amiss=(*amiss, *told),
        measured=", ".join(figures),
        identifiers=(
            *(f"study {uid}" for uid in row.study),
            *(f"image {uid}" for uid in row.images),
            *(f"{kind} {uid}" for kind, uids in row.objects.items() for uid in uids),
        ),
    )


def _lines(values: Sequence[str]) -> str:
    return "; ".join(values)
