"""The rescaling of scores against torchxrayvision's, and where its does not work."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xrv_node.models.operating_points import op_norm

probability = st.floats(0, 1, width=32)
threshold = st.floats(2**-20, 1 - 2**-20, width=32) | st.just(float("nan"))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(probability, threshold), min_size=1, max_size=18))
def test_is_torchxrayvisions(pairs):
    from torchxrayvision.models import op_norm as theirs

    p, t = (torch.tensor(values).float() for values in zip(*pairs, strict=True))
    assert torch.equal(op_norm(p[None], t), theirs(p[None], t))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_keeps_the_dtype(dtype):
    p = torch.tensor([[0.01, 0.05, 0.9, 0.3]], dtype=dtype)
    score = op_norm(p, torch.tensor([0.05, 0.05, 0.05, torch.nan]))
    assert score.dtype == dtype
    assert torch.allclose(score.float(), torch.tensor([[0.1, 0.5, 0.9474, 0.5]]), atol=0.01)


def test_nan_stays_visible_and_gradients_are_finite():
    p = torch.tensor([0.2, torch.nan, 0.2], requires_grad=True)
    score = op_norm(p, torch.tensor([0.1, 0.1, torch.nan]))
    assert score.isnan().tolist() == [False, True, False]
    score[0::2].sum().backward()
    assert torch.allclose(p.grad, torch.tensor([1 / 1.8, 0, 0]))
