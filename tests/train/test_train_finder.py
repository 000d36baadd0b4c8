"""The learning-rate finder on losses that are known, and the one-cycle schedule against the paper's shape."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from xrv_node.train import finder, schedule
from xrv_node.train.recipe import load


def test_it_ends_when_the_loss_breaks_out_or_is_no_number():
    rates, losses = finder.range_test(lambda rate: 1.0 if rate < 1e-3 else 100.0)
    assert rates[0] == finder.LOWEST
    assert 1e-3 <= rates[-1] < 2e-3
    assert losses[:-1] == pytest.approx([1.0] * (len(losses) - 1))
    rates, _ = finder.range_test(lambda rate: 1.0 if rate < 1e-3 else float("nan"))
    assert rates[-1] < 1e-3


def test_the_suggestion_is_where_the_loss_falls_steepest():
    rates = np.geomspace(1e-6, 1, 61)
    falls = 1 / (1 + (rates / 1e-3) ** 2)  # steepest in the logarithm at 1e-3
    assert finder.suggest(rates.tolist(), falls.tolist()) == pytest.approx(1e-3, rel=0.01)
    assert finder.suggest(rates.tolist(), rates.tolist()) is None
    assert finder.suggest([], []) is None


def test_on_a_quadratic_it_stays_below_the_rate_that_diverges():
    """Gradient descent on ``50 x^2`` diverges beyond a rate of 2 / 100."""
    position = [1.0]

    def step(rate: float) -> float:
        loss = 50 * position[0] ** 2
        position[0] -= rate * 100 * position[0]
        return loss

    rates, losses = finder.range_test(step)
    assert 1e-5 < finder.suggest(rates, losses) < 0.02


def test_one_cycle_rises_and_falls_over_the_steps():
    layer = nn.Linear(2, 1)
    made = schedule.optimizer(list(layer.parameters()), load(), 0.01)
    cycle = schedule.one_cycle(made, 0.01, 100)
    rates = []
    for _ in range(100):
        made.step()
        rates.append(cycle.get_last_lr()[0])
        if len(rates) < 100:
            cycle.step()
    top = int(np.argmax(rates))
    assert rates[top] == pytest.approx(0.01)
    assert (np.diff(rates[: top + 1]) > 0).all()
    assert (np.diff(rates[top:]) < 0).all()
    assert rates[-1] < rates[0] < 0.01


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
def test_a_training_of_few_steps_has_a_cycle_too(steps):
    made = torch.optim.AdamW([nn.Parameter(torch.zeros(1))], lr=0.1)
    cycle = schedule.one_cycle(made, 0.1, steps)
    for _ in range(steps):
        made.step()
        cycle.step()
    assert 0 < cycle.get_last_lr()[0] <= 0.1
