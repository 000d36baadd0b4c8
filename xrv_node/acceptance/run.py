"""A run: images out case by case, results in as they come, and the protocol of it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from time import monotonic, sleep

from xrv_node.acceptance import arrived, cases, cast, compare, sending
from xrv_node.acceptance.archive import Archive
from xrv_node.acceptance.arrived import ArrivedObject
from xrv_node.acceptance.expected import ExpectedCase, Sending
from xrv_node.acceptance.facts import Facts, of_here
from xrv_node.acceptance.protocol import Header, Protocol, judge
from xrv_node.deliver.way import Way
from xrv_node.errors import DestinationError

CALLING_AE = "XRVACCEPT"
"""Who sends and asks, and whom the node's destination names."""
KINDS = ("report", "sr", "seg", "sc")
"""What a destination is sent that says nothing else."""
_LOOK_SECONDS = 1.0
"""Between two looks at the archive."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is to do."""

    way: Way
    """Where the images go: to the node, or to a PACS that routes to it."""
    short: bool = False
    kinds: tuple[str, ...] = KINDS
    """Those of `compare.COMPARABLE` that are to come."""
    limit_seconds: float = 120.0
    """In which 95 of 100 cases are to be answered."""
    wait_seconds: float = 600.0
    """Without anything new from the archive, after which what is missing is given up."""
    settle_seconds: float = 30.0
    """How long is waited at the end for what must not come."""
    seed: int = 1
    """Of the images: another one draws other patients."""
    rows: int = 1024
    tester: str = ""
    facts: Callable[[], Facts] = of_here
    """What is known of the node; asked at the end, when its worker runs."""


@dataclass
class _Watch:
    """All that has been found at the archive."""

    archive: Archive
    patience: float
    """Seconds for which an archive that has answered may be away."""
    objects: list[ArrivedObject] = field(default_factory=list)
    moved: float = field(default_factory=monotonic)
    answered: float | None = None

    def look(self, cases: Sequence[ExpectedCase]) -> bool:
        """Look for what has come of these; whether the archive answered."""
        try:
            came = self.archive.came({study for case in cases for study in case.studies})
        except DestinationError:
            if self.answered is None or monotonic() - self.answered > self.patience:
                raise
            return False
        self.answered = monotonic()
        if came:
            self.objects += [arrived.read(one.dataset, one.at) for one in came]
            self.moved = monotonic()
        return True

    def of(self, expected: ExpectedCase) -> list[ArrivedObject]:
        instances = {image.instance for image in expected.images}
        return [one for one in self.objects if one.study in expected.studies or one.images & instances]


def run(plan: Plan, archive: Archive, folder: Path, say: Callable[[str], None] = lambda _: None) -> Protocol:
    """Try a node.

    Parameters
    ----------
    plan
        What is sent where.
    archive
        Where the results are waited for.
    folder
        For the images that are sent; made when it is not there.
    say
        Gets a line as each step begins.

    Raises
    ------
    DestinationError
        The node cannot be reached, or the archive: at all, or for `wait_seconds`.
    """
    began, clock = datetime.now().astimezone(), monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    watch, salt = _Watch(archive, plan.wait_seconds), uuid.uuid4().hex
    made: list[ExpectedCase] = []
    sendings: list[list[Sending]] = []
    chosen = cases.chosen(short=plan.short)
    with ThreadPoolExecutor(1) as maker:
        for number, case in enumerate(chosen, 1):
            say(f"{number} of {len(chosen)}: {case.name}")
            making = maker.submit(
                cast.expected, case, plan.seed * 1000 + number, salt, folder, rows=plan.rows
            )
            while futures.wait((making,), _LOOK_SECONDS).not_done:  # what comes meanwhile is not timed by it
                watch.look(_unanswered(plan, watch, made))
            made.append(making.result())
            sendings.append(sending.send(plan.way, made[-1], calling_ae=CALLING_AE))
    _wait(plan, watch, made, say)
    for number, expected in enumerate(made):
        if expected.case.manner == "again":
            sendings[number] += sending.send(plan.way, expected, calling_ae=CALLING_AE)
    say("waiting for what must not come")
    sleep(plan.settle_seconds)
    while not watch.look(made):
        sleep(_LOOK_SECONDS)
    rows = [
        compare.row(expected, out, watch.of(expected), plan.kinds)
        for expected, out in zip(made, sendings, strict=True)
    ]
    return judge(_header(plan, archive, began, monotonic() - clock, watch.objects), rows)


def _wait(plan: Plan, watch: _Watch, made: Sequence[ExpectedCase], say: Callable[[str], None]) -> None:
    """Until all has come that is to come, or nothing comes any more."""
    watch.moved = monotonic()
    while True:
        watch.look(left := _unanswered(plan, watch, made))
        if not left or monotonic() - watch.moved > plan.wait_seconds:
            return
        say(f"waiting for the results of {len(left)} of {len(made)} cases")
        sleep(_LOOK_SECONDS)


def _unanswered(plan: Plan, watch: _Watch, made: Sequence[ExpectedCase]) -> list[ExpectedCase]:
    """The cases of which something is to come yet: an archive is not asked for the others all the time."""
    return [one for one in made if not compare.complete(one, watch.of(one), plan.kinds)]


def _header(
    plan: Plan, archive: Archive, began: datetime, seconds: float, objects: Sequence[ArrivedObject]
) -> Header:
    known = plan.facts()
    return Header(
        tester=plan.tester,
        began=began,
        seconds=seconds,
        node=str(plan.way),
        archive=archive.name,
        short=plan.short,
        limit_seconds=plan.limit_seconds,
        seed=plan.seed,
        software=known.software,
        versions=tuple(dict.fromkeys(one.software for one in objects if one.software)),
        models=tuple(dict.fromkeys(line for one in objects for line in one.models)),
        destinations=known.destinations,
    )
