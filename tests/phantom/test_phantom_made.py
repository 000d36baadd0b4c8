"""A radiograph of the phantom by its seed, and the projection behind it."""

from __future__ import annotations

import numpy as np
import pytest

from xrv_node.errors import ConfigError
from xrv_node.phantom import mark, template
from xrv_node.phantom.phantom import LABELS, WHITE, make
from xrv_node.phantom.pose import Pose
from xrv_node.phantom.projection import FIELD_MM, project
from xrv_node.phantom.structures import STRUCTURES


def test_the_same_arguments_make_the_same_image() -> None:
    one, same = (make(5, rows=96, findings=("Mass",)) for _ in range(2))
    other = make(6, rows=96, findings=("Mass",), person=5)
    assert np.array_equal(one.pixels, same.pixels)
    assert not np.array_equal(one.pixels, other.pixels)


def test_it_is_told_whole() -> None:
    one = make(1, rows=128, columns=100, findings=("Nodule",), person=0)
    assert one.pixels.shape == (128, 100)
    assert one.pixels.dtype == np.uint16
    assert one.pixels.max() <= WHITE
    assert tuple(one.findings) == LABELS
    assert len(LABELS) == 18
    assert one.findings["Nodule"]
    assert one.findings["Pneumonia"] is None
    assert set(one.places) == {"Nodule"}
    assert one.places["Nodule"].mask.shape == (128, 100)
    assert tuple(one.masks) == STRUCTURES
    assert all(mask.shape == (128, 100) for mask in one.masks.values())
    assert one.spacing == FIELD_MM / 128


def test_a_lateral_view_has_no_findings_and_no_outlines() -> None:
    one = make(1, rows=96, view="LATERAL")
    assert one.pixels.shape == (96, 81)
    assert one.masks == {}
    assert set(one.findings.values()) == {None}


def test_it_bears_the_mark_unless_it_is_not_to() -> None:
    assert mark.find(make(2, rows=256, person=0).pixels.astype(np.float32)).marked
    plain = make(2, rows=256, person=0, marked=False).pixels.astype(np.float32)
    assert not mark.find(plain, search=False).marked


def test_a_letter_stands_on_its_side() -> None:
    plain, left, right = (make(3, rows=128, person=0, marker=m, marked=False).pixels for m in ("", "L", "R"))
    assert np.nonzero(left != plain)[1].min() > 64
    assert np.nonzero(right != plain)[1].max() < 64


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"view": "OBLIQUE"}, "no view 'OBLIQUE': choose one of PA, AP, LATERAL"),
        ({"findings": ("Pneumonia",)}, "Pneumonia cannot be drawn: choose of Atelectasis"),
        ({"findings": ("Mass", "Consolidation")}, "Consolidation and Mass are not drawn in one image"),
        ({"findings": ("Mass",), "view": "LATERAL"}, "findings are drawn in frontal views only"),
        ({"rows": 63}, "an image of 63 x 63: rows and columns are 64 to 4096"),
        ({"anatomy": "z"}, "no anatomy named 'z'"),
        ({"vendor": "z"}, "no vendor 'z': choose one of a, b, c"),
        ({"collimated": 0.3}, "choose a share of 0 to 0.25"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make(1, **{"rows": 96} | options)  # type: ignore[arg-type]


def block(hu: int, label: int) -> template.Template:
    """Water of 60 mm in air, with 20 mm of something in its middle."""
    body = np.full((21, 21, 21), -1000, np.int16)
    body[:, 5:16, 5:16] = 0
    labels = np.zeros_like(body, np.uint8)
    body[:, 9:13, 9:13], labels[:, 9:13, 9:13] = hu, label
    return template.Template(body, labels, (17.0, 5.0, 5.0), "block")


def test_layers_hold_what_the_beam_meets() -> None:
    """Of bone only what is denser than water is the bone's: without it there is soft tissue, not a hole."""
    layers = project(block(500, template.ORGANS["rib_left_3"]), Pose(), "PA", 70)
    middle = (35, 35)
    assert layers.mass["soft"][middle] == pytest.approx(55, rel=0.03)
    assert layers.mass["ribs"][middle] == pytest.approx(0.5 * 20, rel=0.05)
    assert layers.mass["lung"].max() == 0
    assert layers.mass["soft"][35, 2] == 0


def test_contrast_medium_is_left_out() -> None:
    layers = project(block(400, template.ORGANS["aorta"]), Pose(), "PA", 70)
    assert layers.mass["soft"][35, 35] == pytest.approx(35 + 1.07 * 20, rel=0.03)
    assert layers.depth["aorta"][35, 35] == pytest.approx(20, rel=0.05)


def test_what_is_nearer_to_the_source_is_larger() -> None:
    """In a postero-anterior view the back is; at the bedside the front, which has the heart."""
    body = np.full((21, 41, 81), -1000, np.int16)
    labels = np.zeros_like(body, np.uint8)
    body[:, 2:4, 20:61], labels[:, 2:4, 20:61] = 0, template.ORGANS["heart"]  # in front
    front = template.Template(body, labels, (17.0, 5.0, 2.0), "front")
    widths = [(project(front, Pose(), view, 175).depth["heart"][88] > 5).sum() for view in ("PA", "AP")]
    assert widths[0] < widths[1]


def test_a_slanting_bone_shows_no_steps_of_the_voxels() -> None:
    """A rib that moves by a voxel from slice to slice has a straight border, between slices too."""
    body = np.full((41, 21, 81), -1000, np.int16)
    body[:, 5:16, 10:71] = 0
    labels = np.zeros_like(body, np.uint8)
    for level in range(41):
        across = slice(15 + level, 23 + level)
        body[level, 8:12, across], labels[level, 8:12, across] = 500, template.ORGANS["rib_left_3"]
    size = 1000
    ribs = project(template.Template(body, labels, (2.5, 2.0, 2.5), "slant"), Pose(), "PA", size).mass["ribs"]
    rows = np.arange(size // 2 - 60, size // 2 + 60)  # 42 mm: 17 slices
    middle = (ribs[rows] * np.arange(size)).sum(axis=1) / ribs[rows].sum(axis=1)
    off = middle - np.polyval(np.polyfit(rows, middle, 1), rows)
    assert np.abs(off).max() * FIELD_MM / size < 0.2


def test_calcified_ends_of_ribs_do_not_glare() -> None:
    layers = project(block(1500, template.ORGANS["rib_left_1"]), Pose(), "PA", 70)
    assert layers.mass["ribs"][35, 35] == pytest.approx(0.5 * 20, rel=0.05)
