"""What is no number is no figure, and where a network tells nothing no operating point is chosen."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
from statistics_scores import cases

from xrv_node.lab.statistics.calibration import calibration
from xrv_node.lab.statistics.curves import precision_recall, roc
from xrv_node.lab.statistics.evaluate import evaluate
from xrv_node.lab.statistics.intervals import UNDEFINED, Bootstrap, Estimate, delong
from xrv_node.lab.statistics.labelled_scores import LabelledScores
from xrv_node.lab.statistics.thresholds import RULES, suggest
from xrv_node.lab.statistics.weighted_auc import RankedScores

ONE_OF_THEM = (np.nan, np.inf, -np.inf)


@pytest.mark.parametrize("value", ONE_OF_THEM)
@pytest.mark.parametrize("places", [slice(None), slice(7, 8), slice(0, None, 3)])
def test_of_outputs_of_which_one_is_no_number_there_is_no_figure(value, places):
    outputs, positive = cases(200)
    outputs[places] = value
    ranked, rounds = RankedScores(outputs, positive), Bootstrap(np.arange(200), 50)
    assert ranked.auc() is ranked.average_precision() is None
    assert ranked.auc(np.ones(200)) is None
    assert roc(ranked) is precision_recall(ranked) is None
    assert delong(outputs, positive) == delong(outputs, positive, np.arange(200)) == UNDEFINED
    assert suggest(outputs, positive) == suggest(outputs, positive, np.arange(200)) == ()
    assert calibration(outputs, positive, np.ones(200, bool), rounds) is None
    assert rounds.interval(lambda w: float(outputs.mean() if w is None else outputs @ w)) == UNDEFINED


@pytest.mark.parametrize("value", ONE_OF_THEM)
def test_an_estimate_is_of_numbers(value):
    assert Estimate(value, 0.1, 0.2) == Estimate(0.1 * value) == UNDEFINED
    assert Estimate(0.5, value, 0.6) == Estimate(0.5, 0.4, value) == Estimate(0.5)


def scored(scores: np.ndarray, labels: np.ndarray, sigmoids: np.ndarray | None = None) -> LabelledScores:
    n, findings = scores.shape
    return LabelledScores(
        pathologies=tuple("ABC"[:findings]),
        scores=scores.astype(np.float32),
        labels=labels.astype(np.float32),
        patientid=np.arange(n).astype(str),
        sex=np.where(np.arange(n) % 2, "F", "M"),
        age_years=np.full(n, 50.0),
        view=np.full(n, "PA"),
        sigmoids=None if sigmoids is None else sigmoids.astype(np.float32),
    )


@pytest.mark.parametrize(
    ("score", "sigmoid"), [(1.5, 0.5), (-0.1, 0.5), (np.inf, 0.5), (0.5, np.nan), (0.5, np.inf), (0.5, 2.0)]
)
def test_scores_and_sigmoids_are_numbers_from_0_to_1(score, sigmoid):
    scores = np.full((20, 2), 0.5)
    sigmoids = scores.copy()
    scores[3, 1], sigmoids[3, 1] = score, sigmoid
    with pytest.raises(ValueError, match=r"is no number in \[0, 1\]|has what is no number"):
        scored(scores, np.zeros((20, 2)), sigmoids)


def test_an_image_without_an_answer_is_in_no_figure_of_that_finding():
    outputs, positive = cases(200)
    scores, labels = np.stack([outputs, outputs], axis=1), np.stack([positive, positive], axis=1)
    scores[:40, 1] = np.nan
    whole, fewer = evaluate(scored(scores, labels, scores), rounds=50).findings
    alone = evaluate(scored(scores[40:, 1:], labels[40:, 1:], scores[40:, 1:]), rounds=50).findings[0]
    assert (whole.number, fewer.number) == (200, 160)
    assert fewer.auc == alone.auc
    assert fewer.at_operating_point.sensitivity == alone.at_operating_point.sensitivity


def test_a_finding_without_any_answer_and_one_of_a_single_class_have_no_figure():
    outputs, positive = cases(200)
    scores = np.stack([outputs, np.full(200, np.nan), outputs], axis=1)
    labels = np.stack([positive, positive, np.zeros(200)], axis=1)
    found = evaluate(scored(scores, labels, scores), rounds=50)
    sound, silent, absent = found.findings
    assert sound.auc.low > 0.5
    assert (silent.number, silent.auc, silent.suggestions, silent.calibration) == (0, UNDEFINED, (), None)
    assert (absent.number, absent.positives, absent.auc, absent.suggestions) == (200, 0, UNDEFINED, ())
    assert found.overall.findings == 1

    def numbers(of: object) -> list[float]:
        if isinstance(of, dict):
            return [one for part in of.values() for one in numbers(part)]
        if isinstance(of, list | tuple):
            return [one for part in of for one in numbers(part)]
        return [of] if isinstance(of, float) else []

    assert np.isfinite(numbers(asdict(found))).all()


def test_outputs_that_are_all_alike_are_calibrated_or_not_and_have_no_slope():
    found = calibration(
        np.full(60, 0.3), np.arange(60) % 3 == 0, np.ones(60, bool), Bootstrap(np.arange(60), 50)
    )
    assert (len(found.bins), found.slope, found.intercept) == (1, UNDEFINED, UNDEFINED)
    assert found.error == pytest.approx(1 / 3 - 0.3)


CHANCE = {
    "worse than chance": lambda positive, noise: np.where(positive, 0.3, 0.6) + noise / 3,
    "the other way round": lambda positive, _: np.where(positive, 0.1, 0.9),
    "all alike": lambda positive, _: np.full(len(positive), 0.5),
    "as small as they come": lambda positive, _: np.full(len(positive), 1e-38),
    "drawn": lambda _, noise: noise,
    "as high for some of either": lambda positive, _: np.where(np.arange(len(positive)) % 5 == 0, 0.9, 0.2),
}


@pytest.mark.parametrize("name", CHANCE)
def test_a_finding_that_is_not_told_from_chance_gets_no_point_by_any_rule(name):
    generator = np.random.default_rng(3)
    positive = generator.permuted(np.arange(300) % 3 == 0)
    outputs = CHANCE[name](positive, generator.random(300)).astype(np.float32)
    assert suggest(outputs, positive) == ()
    area = delong(outputs, positive)
    assert area.low <= 0.5
    (finding,) = evaluate(scored(outputs[:, None], positive[:, None], outputs[:, None]), rounds=50).findings
    assert finding.suggestions == ()
    assert finding.auc.value == pytest.approx(area.value)


def test_images_of_one_patient_do_not_make_a_point_of_chance():
    """Of as many images of as many patients the interval is above 0.5, of so few patients it is not."""
    generator = np.random.default_rng(0)
    positive = np.arange(24) < 12
    outputs = np.clip(0.5 + 0.07 * positive + generator.normal(0, 0.15, 24), 0, 1)
    again = np.repeat(np.arange(24), 20)
    assert delong(outputs, positive).low <= 0.5
    assert suggest(outputs[again], positive[again]) != ()
    assert suggest(outputs[again], positive[again], again) == ()


def test_a_rule_that_only_a_call_of_every_image_keeps_gives_no_point():
    """Two in a hundred are told, all others are alike: nine of ten are found only where all are called."""
    positive = np.arange(1000) % 2 == 0
    outputs = np.where(positive & (np.arange(1000) < 600), 0.9, 0.2)
    found = {one.rule: one for one in suggest(outputs, positive)}
    assert set(found) == {"youden", "specificity_90", "specificity_95"} < set(RULES)
    assert all(one.sensitivity + one.specificity > 1 for one in found.values())
