"""The loss against torch's on the known labels, its weights against scikit-learn's and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.utils.class_weight import compute_class_weight
from torch.nn.functional import binary_cross_entropy_with_logits

from xrv_node.lab.train.loss import class_weights, masked_bce, task_weights

NAN = float("nan")
EVEN = torch.ones(2, 3)
ALIKE = torch.ones(3)

labels_of = arrays.arrays(
    np.float32, st.tuples(st.integers(1, 6), st.just(3)), elements=st.sampled_from([0.0, 1.0, NAN])
)


def test_without_unknown_labels_and_weights_it_is_torchs():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 3, generator=generator) * 4
    labels = (torch.rand(5, 3, generator=generator) > 0.5).float()
    ours = masked_bce(logits, labels, EVEN, ALIKE)
    assert ours == pytest.approx(binary_cross_entropy_with_logits(logits, labels).item(), rel=1e-6)


@given(labels_of, st.integers(0, 9))
def test_each_finding_is_torchs_loss_over_its_known_labels(labels, seed):
    logits = torch.randn(labels.shape, generator=torch.Generator().manual_seed(seed), requires_grad=True)
    target = torch.from_numpy(labels)
    classes = torch.tensor([[0.5, 1.0, 2.0], [3.0, 1.0, 0.25]])
    tasks = torch.tensor([1.0, 0.5, 2.0])
    expected = []
    for i in range(3):
        known = ~target[:, i].isnan()
        if known.any():
            weight = classes[target[known, i].long(), i]
            loss = binary_cross_entropy_with_logits(logits[known, i], target[known, i], weight=weight)
            expected.append(tasks[i] * loss)
    ours = masked_bce(logits, target, classes, tasks)
    (gradient,) = torch.autograd.grad(ours, logits)
    assert gradient.isfinite().all()
    assert (gradient[target.isnan()] == 0).all()
    assert ours.item() == pytest.approx(
        float(sum(x.detach() for x in expected)) / max(len(expected), 1), rel=1e-5
    )


def test_class_weights_are_scikit_learns():
    labels = np.array([[1, 0, NAN], [0, 0, 1], [0, 0, NAN], [0, NAN, 1]], np.float32)
    found = class_weights(labels)
    expected = compute_class_weight("balanced", classes=np.array([0, 1]), y=labels[:, 0])
    assert found[:, 0] == pytest.approx(expected)
    assert (found[:, 1:] == 1).all()  # only one class each: nothing to balance


def test_task_weights_by_hand():
    labels = np.array([[1, 1, 0], [1, 0, 0], [1, NAN, NAN], [1, 0, 0]], np.float32)
    # positives 4, 1, 0: highest 4, mean 5/3
    expected = np.array([5 / 3, 4 - 1 + 5 / 3, 4 + 5 / 3]) / (4 + 5 / 3)
    assert task_weights(labels) == pytest.approx(expected)
    assert (task_weights(np.zeros((3, 2), np.float32)) == 1).all()
