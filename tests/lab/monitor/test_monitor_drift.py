"""Samples that are alike, and samples that moved."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from xrv_node.lab.baseline.sample import Sample
from xrv_node.lab.monitor.drift import compare, mmd, of_numbers, of_words, psi, shift


def sample(n: int = 400, seed: int = 0, shift: float = 0.0, models: str = "m1") -> Sample:
    generator = np.random.default_rng(seed)
    age = generator.uniform(20, 80, n).astype(np.float32)
    age[::10] = np.nan
    return Sample(
        "a sample",
        models,
        {"Effusion": generator.beta(2, 5, n).astype(np.float32) + np.float32(shift)},
        generator.normal(50 + 100 * shift, 5, n).astype(np.float32),
        (generator.normal(size=(n, 16)) + shift).astype(np.float32),
        {"PatientAge": age},
        {"Manufacturer": tuple(generator.choice(["A", "B", ""], n, p=[0.7, 0.2, 0.1]))},
    )


def test_alike_samples_are_stable():
    found = compare(sample(), sample(seed=1))
    assert {shift.level for shift in found.shifts} == {"stable"}
    assert {shift.name for shift in found.shifts} == {"Effusion", "error", "PatientAge", "Manufacturer"}
    assert found.embedding.level == "stable"


def test_what_moved_is_found_and_comes_first():
    found = compare(sample(), sample(seed=1, shift=0.5))
    levels = {shift.name: shift.level for shift in found.shifts}
    assert levels == {"Effusion": "moved", "error": "moved", "PatientAge": "stable", "Manufacturer": "stable"}
    assert found.shifts[0].psi >= found.shifts[-1].psi
    assert found.embedding.level == "moved"
    assert found.embedding.p_value == pytest.approx(1 / 1000)


def test_scores_of_other_models_are_not_compared():
    found = compare(sample(), sample(shift=0.5, models="m2"))
    assert (found.same_models, found.embedding) == (False, None)
    assert {shift.kind for shift in found.shifts} == {"header"}


def test_too_few_images_say_so():
    found = compare(sample(), sample(20))
    assert {shift.level for shift in found.shifts} == {"too few"}
    assert found.embedding is None


@pytest.mark.parametrize(("n", "m"), [(60, 60), (60, 2000), (2000, 60)])
def test_psi_by_chance_is_what_alike_samples_stay_under(n: int, m: int):
    """99 of 100 times, in tenths and in words of which most are seen once, at 60 images a side too."""
    generator = np.random.default_rng(1)
    stations = np.array([f"room {i}" for i in range(400)])
    over = {"tenths": 0, "words": 0}
    for _ in range(100):
        pairs = {
            "tenths": of_numbers(generator.random(n), generator.random(m)),
            "words": of_words(generator.choice(stations, n).tolist(), generator.choice(stations, m).tolist()),
        }
        for name, pair in pairs.items():
            found = shift("score", name, pair, 0.01, generator)
            over[name] += found.psi > found.chance
    assert max(over.values()) <= 5, over  # of 100 with a chance of 1 in 100 each: 6 or more, 1 in 2000


def test_a_report_of_many_alike_quantities_raises_no_alarm():
    """Thirty findings in sixty images: PSI alone would have raised most of them."""
    generator = np.random.default_rng(2)

    def alike() -> Sample:
        scores = {f"finding {i}": generator.random(60).astype(np.float32) for i in range(30)}
        return Sample("alike", "m", scores, generator.random(60), generator.normal(size=(60, 4)))

    reports = [compare(alike(), alike()) for _ in range(10)]
    assert np.mean([shift.psi >= 0.25 for report in reports for shift in report.shifts]) > 0.5
    assert [shift for report in reports for shift in report.shifts if shift.level != "stable"] == []


def test_psi_is_its_definition_and_symmetric():
    before, now = np.array([100, 50, 0]), np.array([60, 80, 0])
    p, q = (np.array(part[:2]) + 0.5 for part in (before, now))
    p, q = p / p.sum(), q / q.sum()
    assert psi(before, now) == pytest.approx(stats.entropy(p, q) + stats.entropy(q, p))
    assert psi(before, now) == pytest.approx(psi(now, before))
    assert psi(before, before) == 0
    assert np.isfinite(psi(np.array([10, 0]), np.array([0, 10])))
    many = psi(np.stack((before, now)), np.stack((now, before)))
    assert many.tolist() == [psi(before, now), psi(now, before)]


def test_bins_hold_a_tenth_each_and_absent_values_have_their_own():
    values = np.arange(1000, dtype=np.float32)
    values[:100] = np.nan
    found = of_numbers(values, values)
    assert found.bins[-1] == "absent"
    assert found.before.tolist() == found.now.tolist() == [90] * 10 + [100]
    constant = of_numbers(np.full(100, 7.0), np.full(100, 8.0))
    assert constant.before.tolist() != constant.now.tolist()
    nothing = of_numbers(np.full(60, np.nan), np.full(70, np.nan))
    assert (nothing.bins, nothing.before.tolist(), nothing.now.tolist()) == (
        ("any", "absent"),
        [0, 60],
        [0, 70],
    )


def test_a_word_that_was_never_seen_before_is_named():
    before, now = ["A"] * 100 + [""] * 20, ["A"] * 60 + ["B"] * 40
    found = of_words(before, now)
    assert found.bins == ("A", "B", "absent", "others")
    assert (found.before.tolist(), found.now.tolist()) == ([100, 0, 20, 0], [60, 40, 0, 0])
    moved = shift("header", "Manufacturer", found, 0.001, np.random.default_rng(0))
    assert moved.level == "moved"
    one = shift(
        "header", "Manufacturer", of_words(["A"] * 5000, ["A"] * 59 + ["B"]), 0.001, np.random.default_rng(0)
    )
    assert one.level == "stable"  # though its PSI is over 0.1
    assert one.psi > 0.1


def test_mmd_is_its_definition():
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(30, 4)), generator.normal(size=(40, 4)) + 0.3
    both = np.concatenate((x, y))
    width = np.median([np.sum((both[i] - both[j]) ** 2) for i in range(70) for j in range(i)])

    def mean(a, b, same):
        values = [
            np.exp(-np.sum((u - v) ** 2) / width)
            for i, u in enumerate(a)
            for j, v in enumerate(b)
            if not same or i != j
        ]
        return np.mean(values)

    assert mmd(x, y).mmd2 == pytest.approx(mean(x, x, True) + mean(y, y, True) - 2 * mean(x, y, False))


def test_p_values_of_alike_embeddings_are_uniform_and_of_equal_ones_no_alarm():
    generator = np.random.default_rng(5)
    found = [
        mmd(generator.normal(size=(50, 8)), generator.normal(size=(70, 8)), rounds=199).p_value
        for _ in range(100)
    ]
    assert stats.kstest(found, "uniform").pvalue > 0.01
    assert mmd(np.ones((60, 8)), np.ones((60, 8))).p_value == 1


def test_a_shift_is_found_in_embeddings_of_another_spread_with_the_same_mean():
    generator = np.random.default_rng(6)
    wider = mmd(generator.normal(size=(200, 8)), 1.5 * generator.normal(size=(200, 8)))
    assert wider.level == "moved"


def test_what_is_no_number_is_absent_and_moves_nothing():
    generator = np.random.default_rng(0)
    before, now = generator.normal(size=300), generator.normal(size=200)
    odd = now.copy()
    odd[:20] = np.inf
    absent = now.copy()
    absent[:20] = np.nan
    assert of_numbers(before, odd).bins == of_numbers(before, absent).bins
    assert np.array_equal(of_numbers(before, odd).now, of_numbers(before, absent).now)
    assert of_numbers(np.full(60, 3.0), np.full(60, 3.0)).now.sum() == 60


def test_embeddings_that_are_no_numbers_are_no_alarm():
    def sample(seed: int, n: int, broken: int) -> Sample:
        generator = np.random.default_rng(seed)
        embedding = generator.normal(size=(n, 8)).astype(np.float32)
        embedding[:broken, 3] = np.nan
        return Sample("any", "same", {}, generator.random(n).astype(np.float32), embedding)

    whole = compare(sample(0, 80, 0), sample(1, 80, 0))
    broken = compare(sample(0, 80, 0), sample(1, 80, 20))
    assert whole.embedding.level == broken.embedding.level == "stable"
    assert np.isfinite(broken.embedding.mmd2)
    assert compare(sample(0, 80, 0), sample(1, 80, 40)).embedding is None
