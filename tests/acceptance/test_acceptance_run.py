"""A run whose archive is away for a while, or never there."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from xrv_node.acceptance.archive import Came
from xrv_node.acceptance.run import _Watch
from xrv_node.errors import DestinationError


class Faltering:
    """An archive that answers or not, as it is told."""

    name = "faltering"

    def __init__(self, *answers: bool) -> None:
        self.answers = iter(answers)

    def came(self, studies: Collection[str]) -> list[Came]:
        if next(self.answers):
            return []
        raise DestinationError("away")


def test_an_archive_that_was_there_may_be_away_for_a_while() -> None:
    watch = _Watch(Faltering(True, False, True), patience=60)
    assert [watch.look([]) for _ in range(3)] == [True, False, True]


def test_one_that_never_answers_ends_the_run() -> None:
    watch = _Watch(Faltering(False), patience=60)
    with pytest.raises(DestinationError, match="away"):
        watch.look([])


def test_one_that_answers_no_more_ends_the_run() -> None:
    watch = _Watch(Faltering(True, False), patience=0)
    assert watch.look([])
    with pytest.raises(DestinationError, match="away"):
        watch.look([])
