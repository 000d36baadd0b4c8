"""Areas, rates, calibration and thresholds against scikit-learn, definitions and cases done by hand."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import special, stats
from sklearn import metrics
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression
from statistics_scores import cases

from xrv_node.lab.statistics.calibration import calibration
from xrv_node.lab.statistics.curves import mean_precision_recall, mean_roc, precision_recall, roc
from xrv_node.lab.statistics.intervals import Bootstrap, Estimate, delong
from xrv_node.lab.statistics.overlap import Pointing, dice, iou, pointing
from xrv_node.lab.statistics.rates import f1, rates
from xrv_node.lab.statistics.thresholds import FOLDS, RULES, Suggestion, as_toml, measured_as_toml, suggest
from xrv_node.lab.statistics.weighted_auc import RankedScores


@pytest.mark.parametrize("seed", range(5))
def test_areas_are_scikit_learns_with_ties_and_with_weights(seed):
    scores, positive = cases(seed=seed)
    weights = np.random.default_rng(seed).integers(0, 4, len(scores)).astype(float)
    ranked = RankedScores(scores, positive)
    assert ranked.auc() == pytest.approx(metrics.roc_auc_score(positive, scores))
    assert ranked.average_precision() == pytest.approx(metrics.average_precision_score(positive, scores))
    assert ranked.auc(weights) == pytest.approx(
        metrics.roc_auc_score(positive, scores, sample_weight=weights)
    )
    assert ranked.average_precision(weights) == pytest.approx(
        metrics.average_precision_score(positive, scores, sample_weight=weights)
    )


@given(
    arrays(np.float64, st.integers(0, 30), elements=st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])),
    st.randoms(use_true_random=False),
)
def test_the_area_is_the_share_of_pairs_in_the_right_order(scores, random):
    positive = np.array([random.random() < 0.5 for _ in scores], dtype=bool)
    area = RankedScores(scores, positive).auc()
    pairs = [(a > b) + (a == b) / 2 for a in scores[positive] for b in scores[~positive]]
    assert area == (pytest.approx(np.mean(pairs)) if pairs else None)
    assert delong(scores, positive).value == (pytest.approx(np.mean(pairs)) if pairs else None)


def test_rates_by_hand():
    scores = np.array([0.9, 0.5, 0.4, 0.6, 0.1, 0.2, 0.3])
    positive = np.array([True, True, True, False, False, False, False])
    found = rates(scores, positive, 0.5, np.ones(7, bool), Bootstrap(np.arange(7), 20))
    assert (found.true_positives, found.false_positives) == (2, 1)
    assert (found.true_negatives, found.false_negatives) == (3, 1)
    assert found.sensitivity.value == pytest.approx(2 / 3)
    assert found.specificity.value == pytest.approx(3 / 4)
    assert found.ppv.value == pytest.approx(2 / 3)
    assert found.npv.value == pytest.approx(3 / 4)
    assert found.f1.value == pytest.approx(2 / 3)


@pytest.mark.parametrize("seed", range(3))
def test_f1_is_scikit_learns(seed):
    scores, positive = cases(seed=seed)
    weights = np.random.default_rng(seed).integers(0, 3, len(scores)).astype(float)
    assert f1(scores >= 0.5, positive, weights) == pytest.approx(
        metrics.f1_score(positive, scores >= 0.5, sample_weight=weights)
    )


def calibrated(p, positive, rounds=0, patients=None):
    patients = np.arange(len(p)) if patients is None else patients
    return calibration(p, positive, np.ones(len(p), bool), Bootstrap(patients, rounds))


def test_calibration_of_outputs_that_are_right_and_of_ones_that_are_squeezed():
    generator = np.random.default_rng(0)
    p = generator.random(20000)
    positive = generator.random(20000) < p
    good = calibrated(p, positive)
    assert good.brier.value == pytest.approx(metrics.brier_score_loss(positive, p))
    assert good.skill == pytest.approx(
        1 - metrics.brier_score_loss(positive, p) / metrics.brier_score_loss(positive, np.full(20000, positive.mean()))
    )  # fmt: skip
    assert good.error < 0.02
    assert (good.slope.value, good.intercept.value) == (
        pytest.approx(1, abs=0.05),
        pytest.approx(0, abs=0.05),
    )
    squeezed = 1 / (1 + np.exp(-2 * np.log(p / (1 - p)) - 1))
    bad = calibrated(squeezed, positive)
    logit = np.log(squeezed / (1 - squeezed))[:, None]
    oracle = LogisticRegression(C=np.inf, max_iter=1000, tol=1e-10).fit(logit, positive)
    assert bad.slope.value == pytest.approx(oracle.coef_[0, 0], rel=1e-3)
    assert bad.intercept.value == pytest.approx(oracle.intercept_[0], abs=1e-3)
    assert bad.slope.high < 1 < good.slope.high
    assert bad.error > 0.1 > 10 * bad.error_by_chance
    oracle_y, oracle_x = calibration_curve(positive, p, n_bins=10, strategy="quantile")
    assert [b.share_present.value for b in good.bins] == pytest.approx(oracle_y)
    assert [b.mean_output for b in good.bins] == pytest.approx(oracle_x)


def test_calibration_without_a_finite_regression_has_none():
    found = calibrated(np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True]))
    assert (found.slope.value, found.intercept.value) == (None, None)
    assert found.brier.value == pytest.approx((0.01 + 0.04 + 0.04 + 0.01) / 4)
    assert calibrated(np.array([0.5]), np.array([True])) is None


@pytest.mark.parametrize("outputs", [[0.0, 0.0, 1.0, 1.0], [0.5] * 4, [0.0, 1.0, 0.0, 1.0], [1e-30, 1, 1, 1]])
def test_outputs_at_the_very_ends_are_no_error(outputs):
    found = calibrated(np.array(outputs, np.float32), np.array([False, False, True, True]), rounds=20)
    assert 0 <= found.error <= 1
    assert found.brier.value == pytest.approx(np.mean((np.array(outputs) - [0, 0, 1, 1]) ** 2))


def test_the_same_output_is_in_one_bin_in_whatever_order_images_come():
    """A constant that tells the prevalence is calibrated, though the images with the finding come last."""
    sorted_ = np.arange(100) >= 50
    constant = calibrated(np.full(100, 0.5), sorted_)
    assert (constant.error, len(constant.bins), constant.slope.value) == (0, 1, None)
    p = np.round(np.random.default_rng(1).random(100), 1)
    order = np.random.default_rng(2).permutation(100)
    assert calibrated(p, sorted_).error == pytest.approx(calibrated(p[order], sorted_[order]).error)
    assert sum(b.number for b in calibrated(p, sorted_).bins) == 100
    assert min(b.number for b in calibrated(np.linspace(0, 1, 35), sorted_[40:75]).bins) >= 10


@pytest.mark.parametrize("n", [40, 200])
def test_the_calibration_error_by_chance_is_what_calibrated_outputs_show(n):
    generator = np.random.default_rng(0)
    errors, told = [], []
    for _ in range(300):
        p = generator.beta(2, 5, n)
        found = calibrated(p, generator.random(n) < p)
        errors.append(found.error)
        told.append(found.error_by_chance)
    assert np.mean(told) == pytest.approx(np.mean(errors), rel=0.05)


def test_the_slopes_interval_holds_the_truth_and_knows_of_patients():
    generator, held = np.random.default_rng(0), 0
    for _ in range(200):
        p = 1 / (1 + np.exp(-generator.normal(size=60)))
        positive = generator.random(60) < p
        found = calibrated(np.repeat(p, 3), np.repeat(positive, 3), patients=np.repeat(np.arange(60), 3))
        once = calibrated(p, positive)
        assert found.slope.high - found.slope.low == pytest.approx(once.slope.high - once.slope.low)
        held += once.slope.low <= 1 <= once.slope.high
    assert held > 180


def test_curves_enclose_the_areas_though_thinned():
    scores, positive = cases(5000, ties=False)
    ranked = RankedScores(scores, positive)
    curve = roc(ranked)
    assert (curve.x[0], curve.y[0], curve.x[-1], curve.y[-1]) == (0, 0, 1, 1)
    assert len(curve.x) <= 200
    assert np.trapezoid(curve.y, curve.x) == pytest.approx(ranked.auc(), abs=0.003)
    prs = precision_recall(ranked)
    assert prs.x[-1] == 1
    assert prs.y[-1] == pytest.approx(positive.mean())
    alone = RankedScores(scores[positive], positive[positive])
    assert (roc(alone), precision_recall(alone), alone.average_precision()) == (None, None, None)


def test_mean_curves_enclose_the_mean_areas():
    some = [RankedScores(*cases(400, seed, ties=False)) for seed in range(3)]
    perfect = RankedScores(np.arange(40.0), np.arange(40) >= 30)
    for ranked in (some, [perfect], [*some, perfect]):
        curve = mean_roc([roc(one) for one in ranked])
        assert (curve.x[0], curve.y[0], curve.x[-1], curve.y[-1]) == (0, 0, 1, 1)
        assert np.trapezoid(curve.y, curve.x) == pytest.approx(np.mean([r.auc() for r in ranked]), abs=0.004)
        curve = mean_precision_recall([precision_recall(one) for one in ranked])
        mean = np.mean([r.average_precision() for r in ranked])
        assert np.mean(curve.y) == pytest.approx(mean, abs=0.01)


def test_suggested_thresholds_keep_what_they_promise():
    scores, positive = cases(500)
    by_rule = {s.rule: s for s in suggest(scores, positive)}
    fpr, tpr, _ = metrics.roc_curve(positive, scores, drop_intermediate=False)
    youden = by_rule["youden"]
    assert youden.sensitivity + youden.specificity - 1 == pytest.approx((tpr - fpr).max())
    for suggestion in by_rule.values():
        called = scores >= suggestion.threshold
        assert called[positive].mean() == pytest.approx(suggestion.sensitivity)
        assert (~called[~positive]).mean() == pytest.approx(suggestion.specificity)
    assert by_rule["sensitivity_90"].sensitivity >= 0.9
    assert by_rule["specificity_90"].specificity >= 0.9
    assert (scores[positive] >= np.nextafter(by_rule["sensitivity_90"].threshold + 0.01, 1)).mean() < 0.9
    assert suggest(scores[positive], positive[positive]) == ()
    assert as_toml({"Lung Opacity": 0.25}, "net", "youden").splitlines()[1] == '"Lung Opacity" = 0.25'
    told = Estimate(0.91, 0.9, 0.92), Estimate(0.8, 0.7, 0.9)
    both = {
        "Lung Opacity": Suggestion("youden", 0.25, 0.95, 0.9, *told),
        "Mass": Suggestion("youden", 0.1, 1, 1),
    }
    assert tomllib.loads(measured_as_toml(both))["models"]["measured"] == {
        "Lung Opacity": {"sensitivity": 0.91, "specificity": 0.8}
    }
    assert measured_as_toml({"Mass": both["Mass"]}) == ""


def test_of_equally_good_thresholds_youdens_is_the_highest_however_fractions_round():
    """1/3 + 3/3, 2/3 + 2/3 and 3/3 + 1/3 are the same, and the first the least in floating point."""
    outputs = np.repeat([1, 0.75, 0.75, 0.5, 0.5, 0.25], 50)
    positive = np.repeat(np.array([1, 1, 0, 1, 0, 0], bool), 50)
    (youden,) = (s for s in suggest(outputs, positive) if s.rule == "youden")
    assert (youden.threshold, youden.sensitivity, youden.specificity) == (0.875, 1 / 3, 1)


def test_a_threshold_between_neighbours_of_float32_is_the_upper_one():
    upper = np.float32(0.7)
    lower = np.nextafter(upper, np.float32(0))
    outputs, positive = np.repeat(np.array([upper, lower], np.float32), 20), np.arange(40) < 20
    assert len(suggest(outputs, positive)) == len(RULES)
    for suggestion in suggest(outputs, positive):
        assert ((outputs >= np.float32(suggestion.threshold)) == positive).all()


def test_what_a_threshold_gives_elsewhere_is_not_what_it_gave_where_it_was_chosen():
    """Of normal scores the truth is known; Youden's point flatters itself by some per cent."""
    generator, found = np.random.default_rng(0), []
    for _ in range(60):
        positive = generator.random(100) < 0.2
        outputs = special.expit(generator.normal(positive, 1))
        youden = next((s for s in suggest(outputs, positive, np.arange(100)) if s.rule == "youden"), None)
        if youden is None:  # one of the samples does not tell them from chance
            continue
        at = special.logit(youden.threshold)
        apparent = youden.sensitivity + youden.specificity
        expected = youden.expected_sensitivity.value + youden.expected_specificity.value
        found.append((apparent, expected, stats.norm.sf(at - 1) + stats.norm.cdf(at)))
    apparent, expected, truth = np.mean(found, axis=0)
    assert apparent > truth + 0.08
    assert expected == pytest.approx(truth, abs=0.04)


def test_cross_validation_keeps_a_patients_images_together():
    """Each patient has images of one output and label of their own: who knows one knows all."""
    generator = np.random.default_rng(0)
    outputs = generator.random(30)
    positive = outputs + generator.normal(0, 0.2, 30) > 0.5
    once = suggest(outputs, positive, np.arange(30))
    assert len(once) == len(RULES)
    again = np.repeat(np.arange(30), 4)
    for one, four in zip(once, suggest(outputs[again], positive[again], again), strict=True):
        assert four.expected_sensitivity.value == pytest.approx(one.expected_sensitivity.value)
        assert four.expected_specificity.value == pytest.approx(one.expected_specificity.value)
    ill = np.isin(np.arange(300), np.flatnonzero(np.random.default_rng(0).permutation(300) % FOLDS == 0)[:2])
    single = suggest(np.where(ill, 0.9, np.linspace(0, 0.5, 300)), ill, np.arange(300))
    assert {s.expected_sensitivity.value for s in single} == {None}  # nine tenths are without a positive


def test_overlap_by_hand():
    found, truth = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    found[:2], truth[1:3] = True, True
    assert dice(found, truth) == pytest.approx(8 / 16)
    assert iou(found, truth) == pytest.approx(4 / 12)
    assert dice(~(found | ~found), truth & ~truth) is None
    heat = np.zeros((4, 4))
    heat[0, 0], heat[1, 0] = 2, 1
    one = pointing(heat, truth)
    assert (one.hit, one.iou, one.energy) == (False, pytest.approx(1 / 9), pytest.approx(1 / 3))
    assert pointing(heat, truth, tolerance=1).hit
    assert pointing(heat, truth & ~truth) is None


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_a_map_that_is_empty_or_no_number_misses(value):
    truth = np.eye(4, dtype=bool)
    heat = np.zeros((4, 4))
    heat[3, 3] = value
    assert pointing(heat, truth) == pointing(heat, ~truth) == Pointing(False, 0.0, 0.0, empty=True)
    assert pointing(np.full((4, 4), value), truth).empty
    assert pointing(np.zeros((4, 4)), truth & ~truth) is None
