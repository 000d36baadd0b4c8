"""Beside each hostile neighbour a sender that behaves has its objects taken (``noisy_neighbours.py 10`` for figures)."""

from __future__ import annotations

from pathlib import Path

import pytest
from noisy_neighbours import NEIGHBOURS, beside, row


@pytest.mark.parametrize("name", [name for name in NEIGHBOURS if name != "none"])
def test_a_sender_that_behaves_is_served_beside_it(name: str, tmp_path: Path) -> None:
    found = beside(name, tmp_path, 1.0, pause=0.05)
    print(row(name, found))
    assert len(found.seconds) >= 1
    assert found.events <= 2 * 2 * 34  # a first one and a count, of two reasons, of each address
    assert found.grown < 200
