"""Areas, intervals, rates and calibration against scikit-learn, scipy, definitions and cases done by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from sklearn import metrics
from sklearn.linear_model import LogisticRegression

from xrv_node.validate.calibration import calibration
from xrv_node.validate.curves import precision_recall, roc
from xrv_node.validate.intervals import Bootstrap, bootstrap_auc, delong, wilson
from xrv_node.validate.overlap import dice, iou, pointing
from xrv_node.validate.ranked import Ranked
from xrv_node.validate.rates import f1, rates
from xrv_node.validate.thresholds import as_toml, suggest


def cases(n: int = 300, seed: int = 0, ties: bool = True):
    generator = np.random.default_rng(seed)
    positive = generator.random(n) < 0.3
    scores = generator.normal(positive * 1.0, 1)
    scores = 1 / (1 + np.exp(-scores))
    return np.round(scores, 2) if ties else scores, positive


@pytest.mark.parametrize("seed", range(5))
def test_areas_are_scikit_learns_with_ties_and_with_weights(seed):
    scores, positive = cases(seed=seed)
    weights = np.random.default_rng(seed).integers(0, 4, len(scores)).astype(float)
    ranked = Ranked(scores, positive)
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
    area = Ranked(scores, positive).auc()
    pairs = [(a > b) + (a == b) / 2 for a in scores[positive] for b in scores[~positive]]
    assert area == (pytest.approx(np.mean(pairs)) if pairs else None)
    assert delong(scores, positive).value == (pytest.approx(np.mean(pairs)) if pairs else None)


def test_delongs_variance_is_that_of_its_definition_over_all_pairs():
    scores, positive = cases(80)
    a, b = scores[positive], scores[~positive]
    order = (a[:, None] > b[None, :]) + (a[:, None] == b[None, :]) / 2
    variance = order.mean(axis=1).var(ddof=1) / len(a) + order.mean(axis=0).var(ddof=1) / len(b)
    found = delong(scores, positive)
    assert found.high - found.low == pytest.approx(2 * stats.norm.ppf(0.975) * np.sqrt(variance))


def test_delong_and_the_bootstrap_agree_where_every_image_is_a_patient():
    scores, positive = cases(2000, ties=False)
    ranked, everyone = Ranked(scores, positive), np.ones(2000, dtype=bool)
    by_patient = bootstrap_auc(ranked, everyone, Bootstrap(np.arange(2000), 400))
    by_formula = delong(scores, positive)
    assert by_patient.value == pytest.approx(by_formula.value)
    assert by_patient.high - by_patient.low == pytest.approx(by_formula.high - by_formula.low, rel=0.2)


def test_patients_with_several_images_widen_the_bootstrap():
    scores, positive = cases(200, ties=False)
    again = np.repeat(np.arange(200), 5)
    ranked, everyone = Ranked(scores[again], positive[again]), np.ones(1000, dtype=bool)
    patients = bootstrap_auc(ranked, everyone, Bootstrap(again, 300))
    images = bootstrap_auc(ranked, everyone, Bootstrap(np.arange(1000), 300))
    assert patients.high - patients.low > 1.7 * (images.high - images.low)


def test_the_bootstrap_is_the_same_every_time_and_leaves_the_global_generator_alone():
    scores, positive = cases()
    np.random.seed(3)
    before = np.random.get_state()[1].copy()
    once, twice = (
        bootstrap_auc(Ranked(scores, positive), np.ones(300, bool), Bootstrap(np.arange(300), 50))
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


def test_calibration_of_outputs_that_are_right_and_of_ones_that_are_squeezed():
    generator = np.random.default_rng(0)
    p = generator.random(20000)
    positive = generator.random(20000) < p
    good = calibration(p, positive)
    assert good.brier == pytest.approx(metrics.brier_score_loss(positive, p))
    assert good.error < 0.02
    assert (good.slope, good.intercept) == (pytest.approx(1, abs=0.05), pytest.approx(0, abs=0.05))
    squeezed = 1 / (1 + np.exp(-2 * np.log(p / (1 - p)) - 1))
    bad = calibration(squeezed, positive)
    logit = np.log(squeezed / (1 - squeezed))[:, None]
    oracle = LogisticRegression(C=np.inf, max_iter=1000, tol=1e-10).fit(logit, positive)
    assert bad.slope == pytest.approx(oracle.coef_[0, 0], rel=1e-3)
    assert bad.intercept == pytest.approx(oracle.intercept_[0], abs=1e-3)
    assert bad.error > 0.1


def test_calibration_without_a_finite_regression_has_none():
    found = calibration(np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True]))
    assert (found.slope, found.intercept) == (None, None)
    assert found.brier == pytest.approx((0.01 + 0.04 + 0.04 + 0.01) / 4)
    constant = calibration(np.full(4, 0.5), np.array([False, False, True, True]))
    assert (constant.slope, constant.error) == (None, pytest.approx(0.5))
    assert calibration(np.array([0.5]), np.array([True])) is None


def test_curves_enclose_the_areas_though_thinned():
    scores, positive = cases(5000, ties=False)
    ranked = Ranked(scores, positive)
    curve = roc(ranked)
    assert (curve.x[0], curve.y[0], curve.x[-1], curve.y[-1]) == (0, 0, 1, 1)
    assert len(curve.x) <= 200
    assert np.trapezoid(curve.y, curve.x) == pytest.approx(ranked.auc(), abs=0.003)
    prs = precision_recall(ranked)
    assert prs.x[-1] == 1
    assert prs.y[-1] == pytest.approx(positive.mean())
    assert roc(Ranked(scores[positive], positive[positive])) is None


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
    assert pointing(np.zeros((4, 4)), truth) is None
