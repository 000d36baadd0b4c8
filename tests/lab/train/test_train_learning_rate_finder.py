"""The learning-rate finder on losses that are known, and the one-cycle schedule against the paper's shape."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import trained
from torch import nn

from xrv_node.lab.train import learning_rate_finder, rate_schedule
from xrv_node.lab.train.recipe import load
from xrv_node.lab.train.run import train


def test_it_ends_when_the_loss_breaks_out_or_is_no_number():
    rates, losses = learning_rate_finder.range_test(lambda rate: 1.0 if rate < 1e-3 else 100.0)
    assert rates[0] == learning_rate_finder.LOWEST
    assert 1e-3 <= rates[-1] < 2e-3
    assert losses == [*[1.0] * (len(losses) - 1), 100.0]
    rates, _ = learning_rate_finder.range_test(lambda rate: 1.0 if rate < 1e-3 else float("nan"))
    assert rates[-1] < 1e-3


def test_the_suggestion_is_a_tenth_of_where_the_loss_is_lowest():
    rates = np.geomspace(1e-6, 1, 61)
    bowl = np.log10(rates / 1e-2) ** 2
    assert learning_rate_finder.suggest(rates.tolist(), bowl.tolist()) == pytest.approx(1e-3, rel=0.01)
    assert learning_rate_finder.suggest(rates.tolist(), rates.tolist()) is None
    assert learning_rate_finder.suggest([], []) is None
    assert (
        learning_rate_finder.suggest(rates[:8].tolist(), (-rates[:8]).tolist()) is None
    )  # too short to tell


def test_the_noise_of_batches_does_not_decide():
    """Losses as of real radiographs in batches of eight: they scatter by half and more before they rise."""
    rates = np.geomspace(1e-6, 1, 61)
    falls = 1 - 0.14 * np.log10(rates / 1e-6) + (rates / 2e-2) ** 2  # lowest at about 5e-3
    for seed in range(20):
        noise = np.random.default_rng(seed).uniform(0.4, 1.6, len(rates))
        assert 1e-5 < learning_rate_finder.suggest(rates.tolist(), (falls * noise).tolist()) < 1e-3


def test_on_a_quadratic_it_stays_below_the_rate_that_diverges():
    """Gradient descent on ``50 x^2`` diverges beyond a rate of 2 / 100."""
    position = [1.0]

    def step(rate: float) -> float:
        loss = 50 * position[0] ** 2
        position[0] -= rate * 100 * position[0]
        return loss

    rates, losses = learning_rate_finder.range_test(step)
    assert 1e-5 < learning_rate_finder.suggest(rates, losses) < 0.02


def test_one_cycle_rises_and_falls_over_the_steps():
    layer = nn.Linear(2, 1)
    made = rate_schedule.optimizer(list(layer.parameters()), load(), 0.01)
    cycle = rate_schedule.one_cycle(made, 0.01, 100)
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


def test_kernels_decay_and_biases_and_normalisations_do_not():
    """AdamW with a gradient of zero does nothing but decay: by rate times weight decay in a step."""
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 1))
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    made = rate_schedule.optimizer(list(network.parameters()), load(weight_decay=0.5), 0.1)
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    made.step()
    for name, value in network.named_parameters():
        factor = 1 - 0.1 * 0.5 if name in ("0.weight", "3.weight") else 1
        assert torch.allclose(value, factor * before[name], rtol=1e-6), name


@pytest.mark.usefixtures("small")
def test_each_step_has_the_rate_of_the_cycle(tmp_path, monkeypatch):
    """Up from a 25th of the peak over 0.3 of the steps, then down to a 250,000th, each half a cosine."""
    seen = []
    step = torch.optim.AdamW.step

    def watched(self, *args, **kwargs):
        seen.append([group["lr"] for group in self.param_groups])
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", watched)
    recipe = load(init="scratch", batch=4, epochs=4, learning_rate=0.01, valid_share=0.2, test_share=0.2)
    rows = []
    table = trained.table(tmp_path / "images", 32)
    train([table], recipe, tmp_path / "run", tmp_path, name="any", device="cpu", on_epoch=rows.append)
    peak = 0.3 * 20 - 1  # number of the step, from 0

    def rate(number: int) -> float:
        if number <= peak:
            low, share = 0.01 / 25, 1 - number / peak
        else:
            low, share = 0.01 / 25 / 1e4, (number - peak) / (19 - peak)
        return low + (0.01 - low) * (1 + np.cos(np.pi * share)) / 2

    expected = [rate(number) for number in range(20)]
    assert np.array(seen) == pytest.approx(np.array([[one, one] for one in expected]))
    assert [row["rate"] for row in rows] == [None, *(pytest.approx(expected[n]) for n in (4, 9, 14, 19))]


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
def test_a_training_of_few_steps_has_a_cycle_too(steps):
    made = torch.optim.AdamW([nn.Parameter(torch.zeros(1))], lr=0.1)
    cycle = rate_schedule.one_cycle(made, 0.1, steps)
    for _ in range(steps):
        made.step()
        cycle.step()
    assert 0 < cycle.get_last_lr()[0] <= 0.1
