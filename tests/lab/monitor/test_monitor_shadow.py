"""Two classifiers on the same images: counted, with intervals, and the cases where they are furthest apart."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from analysed import Networks, Site, image
from made import SECRET
from sqlalchemy import select
from typer.testing import CliRunner

from xrv_node.cli.monitor import app
from xrv_node.db.store import Store
from xrv_node.db.tables import Instance, ShadowRow
from xrv_node.errors import XrvNodeError
from xrv_node.lab.monitor.shadow import Answers, Pair, answers, compare
from xrv_node.lab.statistics.intervals import share
from xrv_node.reasons import Reason
from xrv_node.spool import Spool

NOW = datetime.now(UTC) + timedelta(hours=1)
SINCE = NOW - timedelta(days=2)


def pair(number: int, first: dict[str, float], second: dict[str, float], patient: str | None = None) -> Pair:
    return Pair("1.2.3", f"1.2.3.{number}", patient or f"p{number}", first, second)


def test_agreement_is_counted_at_each_one_s_operating_point() -> None:
    numbers = [(0.9, 0.8), (0.5, 0.4), (0.1, 0.5), (0.2, 0.1), (0.3, 0.3)]
    pairs = [pair(n, {"Mass": one}, {"Mass": two}) for n, (one, two) in enumerate(numbers)]
    (found,) = compare(Answers("a", "b", tuple(pairs), 2), 10).findings
    assert (found.both, found.only_first, found.only_second, found.neither) == (1, 1, 1, 2)
    assert found.images == 5
    assert found.agreement == share(np.array([1, 0, 0, 1, 1], bool), np.arange(5))
    assert found.agreement.value == pytest.approx(0.6)
    assert found.difference == pytest.approx((-0.1 - 0.1 + 0.4 - 0.1) / 5)
    assert found.difference_low < found.difference < found.difference_high <= 0.4


def test_several_images_of_a_patient_widen_the_interval() -> None:
    calls = [(0.9, 0.9), (0.9, 0.1)] * 12
    alone = [pair(n, {"Mass": a}, {"Mass": b}) for n, (a, b) in enumerate(calls)]
    grouped = [pair(n, {"Mass": a}, {"Mass": b}, f"p{n % 2}{n // 12}") for n, (a, b) in enumerate(calls)]
    ends = []
    for pairs in (alone, grouped):
        found = compare(Answers("a", "b", tuple(pairs), 0), 0)
        ends.append((found.findings[0].agreement.low, found.patients))
    assert ends[1][0] < ends[0][0]
    assert (ends[0][1], ends[1][1]) == (24, 4)


def test_the_furthest_apart_come_first_and_those_called_otherwise_before_all() -> None:
    pairs = (
        pair(1, {"Mass": 0.95, "Hernia": 0.1}, {"Mass": 0.51}),
        pair(2, {"Mass": 0.49, "Hernia": 0.1}, {"Mass": 0.55, "Fracture": 0.9}),
        pair(3, {"Mass": 0.1, "Hernia": 0.1}, {"Mass": 0.9}),
    )
    found = compare(Answers("a", "b", pairs, 0), 2)
    assert [(one.instance, one.called_otherwise) for one in found.cases] == [
        ("1.2.3.3", True),
        ("1.2.3.2", True),
    ]
    assert len(compare(Answers("a", "b", pairs, 0), 9).cases) == 3
    assert (found.only_first_knows, found.only_second_knows) == (("Hernia",), ("Fracture",))


def test_of_one_image_or_none_that_compares_there_is_no_crash() -> None:
    (one,) = compare(Answers("a", "b", (pair(1, {"Mass": 0.4}, {"Mass": 0.4}),), 0), 5).findings
    assert one.agreement.value == 1.0
    assert compare(Answers("a", "b", (), 3), 5).findings == ()
    assert compare(Answers("a", "b", (pair(1, {"Mass": 0.4}, {"Hernia": 0.4}),), 0), 5).findings == ()


# ---------------------------------------------------------------- from the database


@pytest.fixture
def site(store: Store, spool: Spool) -> Site:
    """Three images that both have answered, one that only the first has, one that the second could not."""
    made = Site(store, spool)
    made.analyse(
        *(image(1, number=n) for n in range(1, 6)), networks=Networks(scores={"Mass": 0.75, "Effusion": 0.25})
    )
    with store.begin() as db:
        numbers = list(db.scalars(select(Instance.id).order_by(Instance.id)))
        for number, mass in zip(numbers[:3], (0.8, 0.2, 0.7), strict=True):
            db.add(row(number, scores={"Mass": mass, "Effusion": 0.3, "Hernia": 0.9}))
        db.add(row(numbers[3], error=Reason("network-overflowed")))
    return made


def row(
    instance: int, name: str = "densenet121-res224-nih", weights: str = "5e" * 32, **values: object
) -> ShadowRow:
    return ShadowRow(
        instance_id=instance, classifier=name, weights=weights, created_at=datetime.now(UTC), **values
    )


def test_both_answers_are_paired(site: Site) -> None:
    found = answers(site.store, None, SINCE, NOW)
    assert (found.first, found.second, found.without_answer) == (
        "densenet121-res224-all",
        "densenet121-res224-nih",
        1,
    )
    assert sorted(pair.second["Mass"] for pair in found.pairs) == [0.2, 0.7, 0.8]
    assert {pair.first["Mass"] for pair in found.pairs} == {0.75}
    assert compare(found, 5).patients == 1


def test_of_replaced_networks_the_newest_is_compared(site: Site) -> None:
    site.analyse(*(image(1, number=n) for n in (1, 2)), networks=Networks())
    with site.store.begin() as db:
        first = db.scalars(select(Instance.id).order_by(Instance.id)).first()
        db.add(row(first, weights="6f" * 32, scores={"Mass": 0.1}))
    assert [pair.second for pair in answers(site.store, None, SINCE, NOW).pairs] == [{"Mass": 0.1}]


def test_no_answers_are_one_sentence(site: Site) -> None:
    with pytest.raises(XrvNodeError, match="no answers of all in the shadow"):
        answers(site.store, "all", SINCE, NOW)
    with pytest.raises(XrvNodeError, match="choose a longer time with --days"):
        answers(site.store, None, SINCE - timedelta(days=9), SINCE)


def test_the_command_prints_a_table_and_json(site: Site, tmp_path: Path) -> None:
    config = tmp_path / "node.toml"
    url = f"sqlite:///{tmp_path / 'audit.sqlite'}"
    config.write_text(f"[node]\ndata_dir = '{tmp_path}'\n[database]\nurl = '{url}'\n")
    table = CliRunner().invoke(app, ["shadow", "--config", str(config), "--cases", "1"])
    assert table.exit_code == 0, table.output
    assert (
        "3 images of 1 patients: densenet121-res224-all, and densenet121-res224-nih in its shadow"
        in table.stdout
    )
    assert "1 more have no answer of densenet121-res224-nih" in table.stdout
    assert "only densenet121-res224-nih knows: Hernia" in table.stdout
    asked = CliRunner().invoke(app, ["shadow", "--config", str(config), "--json", "--weights", "nih"])
    found = json.loads(asked.stdout)
    assert [one["finding"] for one in found["findings"]] == ["Mass", "Effusion"]
    assert (found["findings"][0]["only_first"], found["cases"][0]["instance"]) == (1, "1.2.3.1.1.2")
    assert SECRET not in asked.stdout + table.stdout
    none = CliRunner().invoke(app, ["shadow", "--config", str(config), "--weights", "best"])
    assert "no classifier is called 'best': use one of densenet121-res224-all" in str(none.exception)
