"""Path lengths against independent sums: points counted along each ray, and the volumes of known bodies."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shapes.rays import Beam, Ellipsoid, Tube, covered, left_over

FRONTAL = Beam(axis=1, source=1650.0, detector=-150.0, rows=48, columns=40, spacing=8.0)
LATERAL = Beam(axis=0, source=-1600.0, detector=200.0, rows=48, columns=40, spacing=8.0)


def counted(beam: Beam, shape: Ellipsoid, steps: int = 6000) -> np.ndarray:
    """Path lengths by stepping along every ray and asking at each step whether it is inside."""
    t = np.linspace(0.8, 1.0, steps)
    lengths = np.zeros((beam.rows, beam.columns))
    tilt, turn = np.radians(shape.tilt), np.radians(shape.turn)
    for row in range(beam.rows):
        for column in range(beam.columns):
            end = np.zeros(3)
            end[beam.axis], end[1 - beam.axis], end[2] = beam.detector, beam.u[0, column], beam.v[row, 0]
            start = np.zeros(3)
            start[beam.axis] = beam.source
            x, y, z = (start + t[:, None] * (end - start) - np.array(shape.centre)).T
            x, y = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
            x, z = x * np.cos(tilt) - z * np.sin(tilt), x * np.sin(tilt) + z * np.cos(tilt)
            a, b, c = shape.semi_axes
            inside = (x / a) ** 2 + (y / b) ** 2 + (z / c) ** 2 < 1
            lengths[row, column] = inside.mean() * 0.2 * np.linalg.norm(end - start)
    return lengths


@pytest.mark.parametrize("beam", [FRONTAL, LATERAL], ids=["frontal", "lateral"])
@pytest.mark.parametrize(
    "shape",
    [Ellipsoid((10, -20, 30), (60, 40, 90)), Ellipsoid((-30, 25, -10), (50, 20, 80), tilt=25, turn=-35)],
    ids=["straight", "tilted"],
)
def test_ellipsoid(beam: Beam, shape: Ellipsoid) -> None:
    np.testing.assert_allclose(beam.through(shape), counted(beam, shape), atol=0.4)


def test_the_middle_of_a_sphere_is_its_diameter_and_beside_it_is_nothing() -> None:
    beam = Beam(axis=1, source=1000.0, detector=-100.0, rows=1, columns=3, spacing=200.0)
    np.testing.assert_allclose(beam.through(Ellipsoid((0, 0, 0), (30, 30, 30))), [[0, 60, 0]], atol=1e-3)


def test_nearer_to_the_source_is_larger() -> None:
    near = FRONTAL.through(Ellipsoid((0, 100, 0), (50, 50, 50))) > 0
    far = FRONTAL.through(Ellipsoid((0, -100, 0), (50, 50, 50))) > 0
    assert near.sum() > far.sum()


def test_a_tubes_shadow_holds_its_volume() -> None:
    """Length times the pixel's area at the tube's depth sums to the volume, whichever way the tube runs."""
    beam = Beam(axis=1, source=1650.0, detector=-150.0, rows=400, columns=400, spacing=1.0)
    magnification = 1800 / 1600
    for end in ([80.0, 50.0, 0.0], [0.0, 50.0, 80.0], [50.0, 50.0, -60.0]):
        points = np.linspace([0.0, 50.0, 0.0], end, 40)
        tube = Tube(points, np.full(40, 6.0))
        length = np.linalg.norm(points[-1] - points[0])
        volume = beam.deposit([tube]).sum() * (1.0 / magnification) ** 2
        assert volume == pytest.approx(np.pi * 36 * length, rel=0.02)
        assert beam.deposit([tube]).max() == pytest.approx(12, rel=0.05)


def test_a_tube_beside_the_detector_leaves_no_trace() -> None:
    outside = Tube(np.linspace([900.0, 0.0, 0.0], [950.0, 0.0, 0.0], 10), np.full(10, 5.0))
    assert not FRONTAL.deposit([outside]).any()
    assert not FRONTAL.deposit([]).any()


spans = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)).map(sorted), min_size=1, max_size=6)


@given(spans, st.tuples(st.integers(0, 40), st.integers(0, 40)).map(sorted))
@settings(deadline=None)
def test_unions_and_remainders_of_intervals(found: list[list[int]], whole: list[int]) -> None:
    taken = {n for low, high in found for n in range(low, high)}
    intervals = [(np.array([low], np.float32), np.array([high], np.float32)) for low, high in found]
    assert covered(intervals)[0] == len(taken)
    shape = (np.array([whole[0]], np.float32), np.array([whole[1]], np.float32))
    assert left_over(shape, intervals)[0] == len(set(range(*whole)) - taken)
