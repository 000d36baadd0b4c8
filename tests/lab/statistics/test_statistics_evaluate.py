"""The whole evaluation on made scores: means, subgroups, what is undefined, and JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from xrv_node.lab.statistics.evaluate import evaluate
from xrv_node.lab.statistics.intervals import Bootstrap
from xrv_node.lab.statistics.labelled_scores import LabelledScores


def scored(n: int = 600, seed: int = 0) -> LabelledScores:
    """Three findings: a good one, one half unknown, one that everybody has."""
    generator = np.random.default_rng(seed)
    truth = generator.random((n, 3)) < (0.3, 0.4, 1.1)
    scores = 1 / (1 + np.exp(-generator.normal(truth * 1.5 - 0.7, 1)))
    labels = truth.astype(np.float32)
    labels[::2, 1] = np.nan
    sex = np.where(np.arange(n) % 2, "M", "F")
    scores[sex == "F", 0] = np.where(generator.random((sex == "F").sum()) < 0.5, 0.2, scores[sex == "F", 0])
    return LabelledScores(
        ("Effusion", "Mass", "Nodule"),
        scores.astype(np.float32),
        labels,
        np.array([f"p{i // 2}" for i in range(n)]),
        sex,
        generator.uniform(18, 90, n),
        np.full(n, "PA"),
        unusual=np.arange(n) < 30,
    )


def test_everything_of_a_run():
    given = scored()
    found = evaluate(given, rounds=50, chosen={"Effusion": 0.4})
    effusion, mass, nodule = found.findings
    assert (found.images, found.patients, mass.number) == (600, 300, 300)
    labels, scores = given.labels[:, 0], given.scores[:, 0]
    assert effusion.auc.value == pytest.approx(metrics.roc_auc_score(labels, scores))
    assert effusion.auc_patients.value == pytest.approx(effusion.auc.value)
    assert effusion.auc.low < effusion.auc.value < effusion.auc.high
    assert effusion.at_chosen.threshold == 0.4
    assert effusion.at_chosen.sensitivity.value > effusion.at_operating_point.sensitivity.value
    assert mass.at_chosen is None
    assert nodule.why_not == "every one of the 600 images has the finding"
    assert (nodule.auc.value, nodule.roc, nodule.calibration, nodule.suggestions) == (None, None, None, ())
    assert nodule.average_precision.value is None  # it would be 1 with any scores
    assert nodule.at_operating_point.specificity.value is None
    assert found.overall.findings == 2
    assert found.unusual.value == pytest.approx(0.05)
    assert set(found.unusual_by_finding) == set(given.pathologies)


def test_means_are_scikit_learns_where_nothing_is_unknown():
    full = scored()
    two = LabelledScores(
        full.pathologies[:2],
        full.scores[:, :2],
        np.nan_to_num(full.labels[:, :2]),
        full.patientid,
        full.sex,
        full.age_years,
        full.view,
    )
    overall = evaluate(two, rounds=20).overall
    called = two.scores >= 0.5
    for average in ("macro", "micro"):
        auc = metrics.roc_auc_score(two.labels, two.scores, average=average)
        precision = metrics.average_precision_score(two.labels, two.scores, average=average)
        assert getattr(overall, f"{average}_auc").value == pytest.approx(auc)
        assert getattr(overall, f"{average}_average_precision").value == pytest.approx(precision)
    for average in ("macro", "micro", "weighted"):
        found = getattr(overall, f"{average}_f1").value
        assert found == pytest.approx(metrics.f1_score(two.labels, called, average=average))


def test_means_over_missing_labels_are_scikit_learns_over_what_is_known():
    given = scored()
    overall, known = evaluate(given, rounds=0).overall, ~np.isnan(given.labels)
    columns = [(given.labels[known[:, i], i], given.scores[known[:, i], i]) for i in range(2)]
    assert overall.macro_auc.value == pytest.approx(np.mean([metrics.roc_auc_score(*c) for c in columns]))
    assert overall.macro_average_precision.value == pytest.approx(
        np.mean([metrics.average_precision_score(*c) for c in columns])
    )
    f1 = [metrics.f1_score(truth, scores >= 0.5) for truth, scores in columns]
    support = [truth.sum() for truth, _ in columns]
    assert overall.macro_f1.value == pytest.approx(np.mean(f1))  # the third has one class only
    assert overall.weighted_f1.value == pytest.approx(np.average(f1, weights=support))
    heap = given.labels[known], given.scores[known]
    assert overall.micro_auc.value == pytest.approx(metrics.roc_auc_score(*heap))
    assert overall.micro_average_precision.value == pytest.approx(metrics.average_precision_score(*heap))
    assert overall.micro_f1.value == pytest.approx(metrics.f1_score(heap[0], heap[1] >= 0.5))


def test_copies_of_patients_images_make_nothing_surer():
    """A hospital that sends every image thrice knows no more than before."""
    once = scored(240)
    once = replace(once, sigmoids=once.scores)
    thrice = once.where(np.repeat(np.arange(240), 3))
    before, after = (evaluate(given, rounds=50) for given in (once, thrice))

    def estimates(found, path=()):
        if isinstance(found, dict) and set(found) == {"value", "low", "high"}:
            yield path, found
        elif isinstance(found, dict | tuple):
            for name, part in found.items() if isinstance(found, dict) else enumerate(found):
                yield from estimates(part, (*path, name))

    compared = 0
    for (path, one), (_, three) in zip(estimates(asdict(before)), estimates(asdict(after)), strict=True):
        if "bins" in path:  # other cuts
            continue
        assert list(three.values()) == pytest.approx(list(one.values()), abs=0.01), path
        compared += one["low"] is not None
    assert compared > 60


def test_scores_are_no_probabilities_and_no_thresholds_come_of_them():
    given = scored()
    (alone, *_) = evaluate(given, rounds=0).findings
    assert (alone.calibration, alone.suggestions) == (None, ())
    (finding, *_) = evaluate(replace(given, sigmoids=given.scores / 2), rounds=0).findings
    assert max(b.mean_output for b in finding.calibration.bins) <= 0.5
    assert max(s.threshold for s in finding.suggestions) <= 0.5
    assert all(s.expected_sensitivity.low is not None for s in finding.suggestions)


def test_few_patients_are_not_resampled():
    few = scored(60)
    few.labels[:, 0] = np.arange(60) < 9
    (finding, *_) = evaluate(few, rounds=50).findings
    assert (finding.auc_patients.low, finding.average_precision.low) == (None, None)
    assert finding.at_operating_point.f1.low is None
    assert finding.auc.high - finding.auc.low > 0.2


def test_equal_groups_have_a_gap_that_may_be_chance():
    generator = np.random.default_rng(7)
    truth = generator.random((1500, 1)) < 0.4
    scores = 1 / (1 + np.exp(-generator.normal(truth - 0.5, 1)))
    given = LabelledScores(
        ("Mass",), scores.astype(np.float32), truth.astype(np.float32), np.arange(1500).astype(str),
        generator.choice(["M", "F"], 1500), generator.uniform(18, 100, 1500), np.full(1500, "PA"),
    )  # fmt: skip
    for split in evaluate(given, rounds=200).subgroups:
        for gap in (split.auc_gap, split.sensitivity_gap, split.specificity_gap):
            assert gap.low < 0 <= gap.value < gap.high


def test_the_worst_of_many_groups_is_judged_more_mildly():
    found = np.random.default_rng(0).normal(size=4000)
    rounds = Bootstrap(np.arange(4000), 400)
    pair, of_five = (rounds.interval(lambda w: np.average(found, weights=w), among) for among in (1, 10))
    width = stats.norm.ppf(1 - 0.025 / 10) / stats.norm.ppf(1 - 0.025)
    assert (of_five.high - of_five.low) / (pair.high - pair.low) == pytest.approx(width, rel=0.1)


def test_a_group_that_the_model_serves_worse_shows():
    splits = {(s.by, s.finding): s for s in evaluate(scored(2000), rounds=50).subgroups}
    by_sex = splits["sex", "Effusion"]
    assert [g.name for g in by_sex.groups] == ["F", "M"]
    worse, better = by_sex.groups
    assert worse.sensitivity.value < better.sensitivity.value - 0.2
    assert by_sex.sensitivity_gap.value == pytest.approx(better.sensitivity.value - worse.sensitivity.value)
    assert by_sex.sensitivity_gap.low > 0.1
    assert ("age", "Effusion") in splits
    assert ("view", "Effusion") not in splits  # one view: nothing to compare
    assert ("sex", "Nodule") not in splits  # nobody without it


def test_what_comes_together_is_counted():
    found = evaluate(scored(), rounds=0).cooccurrence
    given = scored()
    both = ((given.labels[:, 0] > 0) & (given.labels[:, 1] > 0)).sum()
    assert found.labelled[0][1] == found.labelled[1][0] == both
    assert found.labelled[0][0] == (given.labels[:, 0] > 0).sum()


def test_it_is_json_without_nan():
    text = json.dumps(asdict(evaluate(scored(), rounds=5)), allow_nan=False)
    assert json.loads(text)["findings"][0]["finding"] == "Effusion"


def test_no_images_and_no_answers_are_said_and_not_raised():
    given = scored()
    nobody = evaluate(given.where(np.zeros(600, bool)), rounds=5)
    assert (nobody.images, nobody.patients, nobody.overall.macro_auc.value) == (0, 0, None)
    silent = LabelledScores(
        given.pathologies,
        np.full_like(given.scores, np.nan),
        given.labels,
        given.patientid,
        given.sex,
        given.age_years,
        given.view,
    )
    assert evaluate(silent, rounds=5).findings[0].why_not == "no image has both a label and a score"


def test_images_without_a_patient_are_patients_of_their_own():
    given = scored(6)
    mixed = LabelledScores(
        given.pathologies,
        given.scores,
        given.labels,
        np.array(["a", "", "a", "", "b", "b"]),
        given.sex,
        given.age_years,
        given.view,
    )
    numbers = mixed.patients
    assert numbers[0] == numbers[2]
    assert numbers[4] == numbers[5]
    assert sorted(set(numbers.tolist())) == [0, 1, 2, 3]


def test_parts_that_do_not_fit_are_refused():
    given = scored(6)
    with pytest.raises(ValueError, match="labels is"):
        LabelledScores(
            given.pathologies,
            given.scores,
            given.labels[:, :2],
            given.patientid,
            given.sex,
            given.age_years,
            given.view,
        )
