"""Intervals against scipy, their definitions, and simulations in which the truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats
from statistics_scores import cases

from xrv_node.lab.statistics.intervals import Bootstrap, bootstrap_auc, delong, newcombe, share, wilson
from xrv_node.lab.statistics.weighted_auc import RankedScores


def test_delongs_interval_is_its_definition_over_all_pairs_on_the_logits_scale():
    scores, positive = cases(80)
    a, b = scores[positive], scores[~positive]
    order = (a[:, None] > b[None, :]) + (a[:, None] == b[None, :]) / 2
    parts = order.mean(axis=1).var(ddof=1) / len(a), order.mean(axis=0).var(ddof=1) / len(b)
    # scipy's test of Brunner and Munzel has the same variance and degrees of freedom
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / (len(a) - 1) + parts[1] ** 2 / (len(b) - 1))
    theirs = stats.brunnermunzel(b, a)
    assert theirs.pvalue == pytest.approx(2 * stats.t.sf(abs(theirs.statistic), freedom))
    area = order.mean()
    half = stats.t.ppf(0.975, freedom) * np.sqrt(sum(parts)) / (area * (1 - area))
    found = delong(scores, positive)
    assert [found.low, found.high] == pytest.approx(
        special.expit(special.logit(area) + half * np.array([-1, 1]))
    )


def test_delongs_interval_of_several_images_is_obuchowskis_definition():
    generator = np.random.default_rng(4)
    patients = np.sort(generator.integers(0, 60, 200))
    positive = generator.random(200) < (0.2 + 0.6 * (patients % 2))
    scores = np.round(generator.normal(positive + np.sin(patients), 1), 1)
    found = delong(scores, positive, patients)
    x = {p: scores[(patients == p) & positive] for p in range(60)}
    y = {p: scores[(patients == p) & ~positive] for p in range(60)}
    ill, well = (np.concatenate(list(part.values())) for part in (x, y))
    area = np.mean([(a > b) + (a == b) / 2 for a in ill for b in well])
    of_x = [sum(np.mean((a > well) + (a == well) / 2) - area for a in x[p]) for p in range(60)]
    of_y = [sum(np.mean((ill > b) + (ill == b) / 2) - area for b in y[p]) for p in range(60)]
    with_, without, all_ = (sum(map(bool, part)) for part in (
        [len(x[p]) for p in range(60)], [len(y[p]) for p in range(60)], [len(x[p]) + len(y[p]) for p in range(60)],
    ))  # fmt: skip
    s10 = with_ / ((with_ - 1) * len(ill)) * np.sum(np.square(of_x))
    s01 = without / ((without - 1) * len(well)) * np.sum(np.square(of_y))
    s11 = all_ / (all_ - 1) * np.dot(of_x, of_y)
    parts = s10 / len(ill), s01 / len(well)
    variance = sum(parts) + 2 * s11 / (len(ill) * len(well))
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / (with_ - 1) + parts[1] ** 2 / (without - 1))
    half = stats.t.ppf(0.975, freedom) * np.sqrt(variance) / (area * (1 - area))
    assert found.value == pytest.approx(area)
    assert [found.low, found.high] == pytest.approx(
        special.expit(special.logit(area) + half * np.array([-1, 1]))
    )
    alone = delong(scores, positive)
    assert found.high - found.low > 1.1 * (alone.high - alone.low)


def test_the_order_and_the_names_of_patients_mean_nothing():
    scores, positive = cases(200)
    patients = np.arange(200) // 3
    order = np.random.default_rng(2).permutation(200)
    one, other = (
        delong(scores, positive, patients),
        delong(scores[order], positive[order], 66 - patients[order]),
    )
    assert [one.low, one.high] == pytest.approx([other.low, other.high])
    assert delong(scores, positive, np.arange(200)) == delong(scores, positive)


@pytest.mark.parametrize(
    ("scores", "positive"),
    [
        (np.arange(40.0), np.arange(40) >= 20),  # an area of 1
        (np.arange(40.0), np.arange(40) < 20),  # of 0
        (np.ones(40), np.arange(40) < 20),  # all the same
        (np.arange(40.0), np.arange(40) == 30),  # one positive
    ],
)
def test_an_area_is_never_certain(scores, positive):
    found = delong(scores, positive)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.high - found.low > 0.1
    flat = bootstrap_auc(RankedScores(scores, positive), np.ones(40, bool), Bootstrap(np.arange(40), 50))
    assert positive.sum() == 1 or flat.low is None


def test_few_patients_or_alike_ones_are_not_resampled():
    values = np.random.default_rng(0).random(90)

    def found(each_value, images_of_one):
        rounds = Bootstrap(np.arange(90) // images_of_one, 50)
        return rounds.interval(lambda w: float(np.average(each_value, weights=w)))

    assert found(values, 9).low < found(values, 9).value < found(values, 9).high
    assert (found(values, 10).value, found(values, 10).low) == (pytest.approx(values.mean()), None)
    assert (found(np.ones(90), 1).value, found(np.ones(90), 1).low) == (1, None)


@pytest.mark.parametrize(("area", "m", "n"), [(0.9, 10, 40), (0.5, 5, 7), (0.97, 200, 300)])
def test_newcombes_ends_are_where_the_area_is_just_two_standard_errors_away(area, m, n):
    """The variance as Hanley and McNeil (1982) have it of exponential scores, in their Q1 and Q2, with the mean
    number of both classes for each."""
    found = newcombe(area, m, n)
    for end in (found.low, found.high):
        q1, q2, mean = end / (2 - end), 2 * end**2 / (1 + end), (m + n) / 2
        variance = (end * (1 - end) + (mean - 1) * (q1 - end**2) + (mean - 1) * (q2 - end**2)) / (m * n)
        assert abs(area - end) / np.sqrt(variance) == pytest.approx(stats.norm.ppf(0.975))


def test_intervals_hold_the_truth_as_often_as_they_say():
    """95 of 100 of independent patients, and of patients who have up to six images each."""
    generator, area = np.random.default_rng(0), stats.norm.cdf(1 / np.sqrt(2))
    held = {"one image": 0, "several": 0, "share": 0, "as if independent": 0}
    for _ in range(300):
        positive = generator.random(60) < 0.3
        found = delong(generator.normal(positive, 1), positive)
        held["one image"] += found.low <= area <= found.high
        patients = np.repeat(np.arange(60), generator.integers(1, 7, 60))
        ill = (generator.random(60) < 0.4)[patients]
        noise = generator.normal(0, 0.6**0.5, 60)[patients] + generator.normal(0, 0.4**0.5, len(patients))
        found = delong(noise + ill, ill, patients)
        held["several"] += found.low <= area <= found.high
        called = noise >= 0.5
        found = share(called, patients)
        held["share"] += found.low <= stats.norm.sf(0.5) <= found.high
        found = wilson(called.sum(), len(called))
        held["as if independent"] += found.low <= stats.norm.sf(0.5) <= found.high
    held_of_100 = {name: count / 3 for name, count in held.items()}
    assert min(held_of_100[name] for name in ("one image", "several", "share")) > 91, held_of_100
    assert held_of_100["as if independent"] < 85


def test_a_share_counts_images_that_say_the_same_once():
    right = np.array([True, False, True, True, False, False, True, True])
    again = np.repeat(np.arange(8), 5)
    assert share(right, np.arange(8)) == wilson(5, 8)
    repeated = share(right[again], again)
    # five copies of everything are worth what one is, but for the correction of small numbers in either
    assert [repeated.low, repeated.high] == pytest.approx([wilson(5, 8).low, wilson(5, 8).high], abs=0.02)
    assert share(np.ones(40, bool), again) == wilson(8, 8)  # whether they agree cannot be seen
    assert share(right[again], np.zeros(40, int)).high - share(right[again], np.zeros(40, int)).low > 0.8
    assert share(right[:0], again[:0]).value is None


def test_delong_and_the_bootstrap_agree_where_every_image_is_a_patient():
    scores, positive = cases(2000, ties=False)
    ranked, everyone = RankedScores(scores, positive), np.ones(2000, dtype=bool)
    by_patient = bootstrap_auc(ranked, everyone, Bootstrap(np.arange(2000), 400))
    by_formula = delong(scores, positive)
    assert by_patient.value == pytest.approx(by_formula.value)
    assert by_patient.high - by_patient.low == pytest.approx(by_formula.high - by_formula.low, rel=0.2)


def test_patients_with_several_images_widen_the_bootstrap():
    scores, positive = cases(200, ties=False)
    again = np.repeat(np.arange(200), 5)
    ranked, everyone = RankedScores(scores[again], positive[again]), np.ones(1000, dtype=bool)
    patients = bootstrap_auc(ranked, everyone, Bootstrap(again, 300))
    images = bootstrap_auc(ranked, everyone, Bootstrap(np.arange(1000), 300))
    assert patients.high - patients.low > 1.7 * (images.high - images.low)


def test_the_bootstrap_is_the_same_every_time_and_leaves_the_global_generator_alone():
    scores, positive = cases()
    np.random.seed(3)
    before = np.random.get_state()[1].copy()
    once, twice = (
        bootstrap_auc(RankedScores(scores, positive), np.ones(300, bool), Bootstrap(np.arange(300), 50))
        for _ in "ab"
    )
    assert once == twice
    assert (np.random.get_state()[1] == before).all()


@given(st.integers(1, 500), st.data())
def test_wilson_is_scipys(number, data):
    successes = data.draw(st.integers(0, number))
    found = wilson(successes, number)
    oracle = stats.binomtest(successes, number).proportion_ci(method="wilson")
    assert (found.low, found.high) == (
        pytest.approx(oracle.low, abs=1e-12),
        pytest.approx(oracle.high, abs=1e-12),
    )
