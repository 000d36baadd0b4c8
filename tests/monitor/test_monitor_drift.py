"""Samples that are alike, samples that moved, and files that are neither."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from xrv_node.errors import XrvNodeError
from xrv_node.monitor.drift import compare, mmd, of_numbers, of_words, psi
from xrv_node.monitor.sample import Sample, load, save


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
    assert found.embedding.p_value == pytest.approx(1 / 201)


def test_scores_of_other_models_are_not_compared():
    found = compare(sample(), sample(shift=0.5, models="m2"))
    assert (found.same_models, found.embedding) == (False, None)
    assert {shift.kind for shift in found.shifts} == {"header"}


def test_too_few_images_say_so():
    found = compare(sample(), sample(20))
    assert {shift.level for shift in found.shifts} == {"too few"}
    assert found.embedding is None


def test_small_samples_of_one_distribution_raise_no_alarm():
    generator = np.random.default_rng(1)
    shifts = [of_numbers("score", "Mass", generator.random(60), generator.random(60)) for _ in range(100)]
    assert sum(shift.psi >= 0.25 for shift in shifts) > 50  # that PSI alone would have raised
    assert sum(shift.level != "stable" for shift in shifts) <= 6


def test_psi_is_its_definition_and_symmetric():
    before, now = np.array([100.0, 50, 0]), np.array([60.0, 80, 0])
    p, q = (np.array(part[:2]) + 0.5 for part in (before, now))
    p, q = p / p.sum(), q / q.sum()
    assert psi(before, now) == pytest.approx(stats.entropy(p, q) + stats.entropy(q, p))
    assert psi(before, now) == pytest.approx(psi(now, before))
    assert psi(before, before) == 0
    assert np.isfinite(psi(np.array([10.0, 0]), np.array([0.0, 10])))


def test_bins_hold_a_tenth_each_and_absent_values_have_their_own():
    values = np.arange(1000, dtype=np.float32)
    values[:100] = np.nan
    found = of_numbers("header", "KVP", values, values)
    assert found.bins[-1] == "absent"
    assert found.before[-1] == pytest.approx(0.1)
    assert found.before[:-1] == pytest.approx([0.09] * 10, abs=0.002)
    constant = of_numbers("header", "Rows", np.full(100, 7.0), np.full(100, 8.0))
    assert constant.level == "moved"


def test_a_new_word_is_among_the_others():
    found = of_words("Manufacturer", ["A"] * 100, ["B"] * 100)
    assert (found.bins, found.now) == (("A", "others"), (0, 1))
    assert found.level == "moved"


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


def test_false_alarms_on_embeddings_are_rare():
    generator = np.random.default_rng(5)
    alarms = sum(
        mmd(generator.normal(size=(60, 8)), generator.normal(size=(60, 8)), rounds=99).level == "moved"
        for _ in range(40)
    )
    assert alarms <= 3


def test_a_sample_comes_back_from_its_file(tmp_path):
    given = sample()
    save(given, tmp_path / "b.npz")
    found = load(tmp_path / "b.npz")
    assert (found.what, found.model_set, found.words) == (given.what, given.model_set, given.words)
    assert np.array_equal(found.embedding, given.embedding)
    assert np.array_equal(found.scores["Effusion"], given.scores["Effusion"])
    assert np.array_equal(found.numbers["PatientAge"], given.numbers["PatientAge"], equal_nan=True)


def test_other_files_are_refused_in_a_sentence(tmp_path):
    with pytest.raises(XrvNodeError, match="does not exist"):
        load(tmp_path / "none.npz")
    (tmp_path / "b.npz").write_bytes(b"PK\3\4 nothing")
    with pytest.raises(XrvNodeError, match="a baseline"):
        load(tmp_path / "b.npz")
    np.savez(tmp_path / "p.npz", words=np.array([{}], dtype=object))
    with pytest.raises(XrvNodeError, match="a baseline"):
        load(tmp_path / "p.npz")
