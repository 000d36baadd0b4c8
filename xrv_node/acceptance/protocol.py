"""All cases together: what is allowed to be amiss, and whether the node is accepted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Literal

from xrv_node.acceptance.compare import NEVER, told
from xrv_node.acceptance.row import Check, Decision, Row

ONE_IN = 20
"""One finding of so many may be on the wrong side of its operating point, of those that are drawn and of
those that are not; where there are fewer, one."""
SHARE = 0.95
"""Of the cases, which must be answered within the limit of time."""

Verdict = Literal["pass", "tolerated", "fail"]


@dataclass(frozen=True, slots=True)
class Header:
    """What was tried, by whom, where and when."""

    tester: str
    began: datetime
    """Aware."""
    seconds: float
    node: str
    """Whom the images went to."""
    archive: str
    """Where the results were looked for."""
    short: bool
    limit_seconds: float
    seed: int
    software: Mapping[str, str]
    """Name and version of what the protocol was made with, and of the machine: processor, device, driver."""
    versions: tuple[str, ...] = ()
    """Software Versions that the objects name."""
    models: tuple[str, ...] = ()
    """Networks with their weights' digests, as the reports name them."""
    destinations: tuple[str, ...] = ()
    """Of the node's configuration, where it could be read."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """A run, judged."""

    header: Header
    rows: tuple[Row, ...]
    verdicts: tuple[Verdict, ...]
    """Of each row."""
    checks: tuple[Check, ...]
    """Over all rows."""

    @property
    def good(self) -> bool:
        """Whether the node is accepted."""
        return all(check.good for check in self.checks)

    @property
    def table(self) -> list[tuple[Row, Verdict]]:
        """The rows with their verdicts."""
        return list(zip(self.rows, self.verdicts, strict=True))


def judge(header: Header, rows: Sequence[Row]) -> Protocol:
    """Judge a run.

    Parameters
    ----------
    header
        With the limit of time.
    rows
        Every case, in the order in which they were sent.
    """
    rows = _heard(rows)
    decisions = [decision for row in rows for decision in row.decisions]
    drawn = _share("findings that are drawn", [d for d in decisions if d.drawn])
    others = _share("findings that are not drawn", [d for d in decisions if not d.drawn])
    bad = [row.name for row in rows if not row.good]
    checks = (
        Check(
            "cases",
            bool(rows) and not bad,
            ", ".join(bad) or f"{len(rows)} as they should be, but for findings",
        ),
        drawn,
        others,
        _never(decisions),
        _time([_waited(row) for row in rows if row.decisions], header.limit_seconds),
    )
    verdicts = tuple(_verdict(row, tolerated=drawn.good) for row in rows)
    return Protocol(header, tuple(rows), verdicts, checks)


def percentile(seconds: Sequence[float], share: float = SHARE) -> float | None:
    """Return the least of the values that so many are not above (nearest rank); None of none."""
    return sorted(seconds)[max(math.ceil(share * len(seconds)), 1) - 1] if seconds else None


def plain(protocol: Protocol) -> dict[str, Any]:
    """Return a protocol as JSON has it."""
    rows = [
        {
            "name": row.name,
            "group": row.group,
            "verdict": verdict,
            "sent": row.sent,
            "expected": row.expected,
            "arrived": row.arrived,
            "seconds": None if row.seconds is None else round(row.seconds, 2),
            "study": row.study,
            "images": row.images,
            "objects": row.objects,
            "checks": [asdict(check) for check in row.checks],
            "findings": [
                asdict(d) | {"score": None if math.isnan(d.score) else d.score} for d in row.decisions
            ],
            "masks": [asdict(overlap) for overlap in row.overlaps],
        }
        for row, verdict in protocol.table
    ]
    header = asdict(protocol.header) | {"began": protocol.header.began.isoformat(timespec="seconds")}
    return {
        "accepted": protocol.good,
        "header": header,
        "checks": [asdict(check) for check in protocol.checks],
        "cases": rows,
    }


def _heard(rows: Sequence[Row]) -> Sequence[Row]:
    """A node that says nothing of what it must not answer is right; one that says nothing at all is not."""
    if any(row.objects for row in rows):
        return rows
    mute = Check("silent", False, "nothing arrived of any case: silence shows nothing")
    return [
        replace(row, checks=tuple(mute if check.name == mute.name else check for check in row.checks))
        for row in rows
    ]


def _waited(row: Row) -> float:
    """For how long, of a case that is to be answered; for ever where something did not arrive."""
    return math.inf if row.seconds is None else row.seconds


def _verdict(row: Row, *, tolerated: bool) -> Verdict:
    if not row.good:
        return "fail"
    if not row.missed:
        return "pass"
    return "tolerated" if tolerated else "fail"


def _share(name: str, decisions: Sequence[Decision]) -> Check:
    wrong = [d for d in decisions if not d.right]
    allowed = max(1, len(decisions) // ONE_IN)
    says = f"{len(decisions) - len(wrong)} of {len(decisions)} on the right side of the operating point"
    says = "; ".join([says, *told(wrong), f"{allowed} may be wrong"])
    return Check(name, bool(decisions) and len(wrong) <= allowed, says)


def _never(decisions: Sequence[Decision]) -> Check:
    grave = [d for d in decisions if d.label in NEVER]
    wrong = [d for d in grave if not d.right]
    says = "; ".join(told(wrong)) or ("right wherever there is truth" if grave else "nothing arrived")
    return Check(" and ".join(NEVER), bool(grave) and not wrong, says)


def _time(seconds: Sequence[float], limit: float) -> Check:
    found = percentile(seconds)
    if found is None:
        says = "nothing was timed"
    elif math.isinf(found):
        answered = sum(map(math.isfinite, seconds))
        says = f"{answered} of {len(seconds)} cases answered, {SHARE:.0%} are to be"
    else:
        says = f"{SHARE:.0%} within {found:.1f} s, the limit is {limit:g} s"
    return Check("time", found is not None and found <= limit, says)
