"""Class activation maps against an autograd Grad-CAM, and the regions drawn from them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from xrv_node.analyse.heatmap import GRID, region, smooth
from xrv_node.models.densenet import DenseNet
from xrv_node.radiograph.prepare import frame
from xrv_node.values import Frame


def test_finding_maps_are_grad_cam() -> None:
    """Selvaraju et al. 2017, equations 1 and 2, with gradients taken through the network by autograd."""
    torch.manual_seed(0)
    network = DenseNet().eval()
    image = torch.rand(2, 1, 224, 224) * 2048 - 1024
    logits, activation = network.forward_with_map(image)
    maps = network.finding_maps(activation).detach()
    assert maps.shape == (2, 18, 7, 7)
    for head in (0, 7, 17):
        (gradient,) = torch.autograd.grad(logits[:, head].sum(), activation, retain_graph=True)
        weights = gradient.mean(dim=(2, 3), keepdim=True)
        grad_cam = (weights * activation).sum(dim=1).relu()
        assert grad_cam.max() > 0
        assert torch.allclose(maps[:, head], grad_cam * 49, rtol=1e-4, atol=1e-4 * float(maps.max()))


def spots(*places: tuple[int, int, float]) -> np.ndarray:
    heat = np.zeros((7, 7), np.float32)
    for row, column, value in places:
        heat[row, column] = value
    return heat


def test_no_heat_no_region() -> None:
    assert region(np.zeros((7, 7), np.float32), frame(100, 200)) == ()


@pytest.mark.parametrize("square", [frame(700, 700), frame(1400, 700), frame(700, 1401), frame(60, 50)])
@pytest.mark.parametrize("place", [(0, 0), (3, 3), (6, 6), (2, 5)])
def test_region_lies_where_the_heat_is(square: Frame, place: tuple[int, int]) -> None:
    row, column = place
    outline = region(spots((row, column, 5.0)), square)
    assert outline[0] == outline[-1]
    assert 4 <= len(outline) <= 60
    points = np.array(outline)
    assert (points >= 0).all()
    assert (points[:, 0] <= square.columns).all()
    assert (points[:, 1] <= square.rows).all()
    cell = square.side / 7
    centre = (square.left + (column + 0.5) * cell, square.top + (row + 0.5) * cell)
    assert cv2.pointPolygonTest(points.astype(np.float32), centre, measureDist=False) > 0
    area = cv2.contourArea(points.astype(np.float32))
    assert 0.3 * cell**2 < area < 2.5 * cell**2


def test_the_largest_part_above_half_of_the_maximum_is_taken() -> None:
    square = frame(700, 700)
    small_and_strong, large = (1, 1, 10.0), [(r, c, 8.0) for r in (4, 5) for c in (3, 4, 5)]
    points = np.array(region(spots(small_and_strong, *large), square), dtype=np.float32)
    assert cv2.pointPolygonTest(points, (450.0, 500.0), measureDist=False) > 0
    assert cv2.pointPolygonTest(points, (150.0, 150.0), measureDist=False) < 0
    weak = [(r, c, 4.0) for r, c, _ in large]
    points = np.array(region(spots(small_and_strong, *weak), square), dtype=np.float32)
    assert cv2.pointPolygonTest(points, (150.0, 150.0), measureDist=False) > 0


def test_outline_follows_the_level() -> None:
    """Painted back, the polygon covers what is above half of the maximum."""
    square = frame(GRID, GRID)
    rng = np.random.default_rng(5)
    for _ in range(20):
        heat = cv2.GaussianBlur(rng.random((7, 7)).astype(np.float32) ** 4, (3, 3), 0.8)
        enlarged = smooth(heat)
        above = enlarged >= enlarged.max() / 2
        outline = region(heat, square)
        assert len(outline) < 100
        painted = np.zeros((GRID, GRID), np.uint8)
        cv2.fillPoly(painted, [np.round(np.array(outline) - 0.5).astype(np.int32)], 1)
        count, labels, statistics, _ = cv2.connectedComponentsWithStats(above.astype(np.uint8))
        largest = labels == 1 + int(statistics[1:count, cv2.CC_STAT_AREA].argmax())
        overlap = (painted.astype(bool) & largest).sum() / largest.sum()
        assert overlap > 0.95


def test_smooth_keeps_the_place_and_the_sign() -> None:
    enlarged = smooth(spots((1, 5, 3.0)))
    assert enlarged.shape == (GRID, GRID)
    assert enlarged.min() == 0
    row, column = np.unravel_index(int(enlarged.argmax()), enlarged.shape)
    assert (row // 32, column // 32) == (1, 5)
