"""Every network is torchxrayvision's: the rows of the parity table, asserted (``make parity`` writes it)."""

from __future__ import annotations

import parity
import pytest
from recipes import recipe


@pytest.fixture(scope="module")
def images():
    """None where they are not here: then torchxrayvision is run, and nothing is compared with what was written down."""
    return parity.golden_images()


@pytest.mark.parametrize("case", parity.CASES, ids=lambda case: case.name)
def test_outputs_are_torchxrayvisions(case, images, tmp_path):
    rows = list(parity.rows_of(case, tmp_path, images))
    recipe.cache_clear()
    assert {row.against for row in rows} == ({"run here", "written down"} if images else {"run here"})
    assert "F2" in {row.weights for row in rows}
    assert all(row.difference <= row.tolerance for row in rows), [
        r for r in rows if not r.difference <= r.tolerance
    ]
    if case.keys and images:
        same, _, total = rows[0].keys.split()[:3]
        assert same == total


def test_a_wrong_operation_shows(images, tmp_path, monkeypatch):
    """The comparison is not blind: one resampler for another is seen."""
    from torch.nn import functional

    from xrv_node.models import inputs

    monkeypatch.setattr(
        inputs, "resize", lambda x, size: functional.interpolate(x, (size, size), mode="bilinear")
    )
    (case,) = (case for case in parity.CASES if case.name == "emory_hiti")
    rows = list(parity.rows_of(case, tmp_path, images))
    assert any(row.difference > row.tolerance for row in rows)
