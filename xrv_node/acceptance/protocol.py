"""All cases together: what is allowed to be amiss, and whether the node is accepted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from xrv_node.acceptance.compare import NEVER, counted
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
        _time([row.seconds for row in rows if row.seconds is not None], header.limit_seconds),
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


def _verdict(row: Row, *, tolerated: bool) -> Verdict:
    if not row.good:
        return "fail"
    if not row.missed:
        return "pass"
    return "tolerated" if tolerated else "fail"


def _share(name: str, decisions: Sequence[Decision]) -> Check:
    wrong = [d.label for d in decisions if not d.right]
    allowed = max(1, len(decisions) // ONE_IN)
    told = f"{len(decisions) - len(wrong)} of {len(decisions)} on the right side of the operating point"
    told += f"; not {counted(sorted(wrong))}" if wrong else ""
    return Check(name, bool(decisions) and len(wrong) <= allowed, f"{told}; {allowed} may be wrong")


def _never(decisions: Sequence[Decision]) -> Check:
    wrong = [d.label for d in decisions if not d.right and d.label in NEVER]
    return Check(
        " and ".join(NEVER),
        not wrong,
        f"wrong: {counted(wrong)}" if wrong else "right wherever there is truth",
    )


def _time(seconds: Sequence[float], limit: float) -> Check:
    found = percentile(seconds)
    says = (
        "nothing was timed"
        if found is None
        else f"{SHARE:.0%} within {found:.1f} s, the limit is {limit:g} s"
    )
    return Check("time", found is not None and found <= limit, says)
