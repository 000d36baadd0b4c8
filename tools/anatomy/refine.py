"""Correct carried labels by Hounsfield units, which are surer than a registration at every border."""

from __future__ import annotations

import cv2
import numpy as np
from clean import VESSELS, Labels, Mask, Spacing, Volume, with_nearest
from organs import BONES, LOBES
from scipy import ndimage

from xrv_node.phantom.template import ORGANS

BONE = 170.0
"""Hounsfield units of bone, outside organs with contrast medium."""


def refined(hu: Volume, labels: Labels, spacing: Spacing) -> Labels:
    """Return labels whose lungs are where air is, whose bones are where bone is, and so on."""
    soft = smoothed(hu)
    lungs = _lungs(hu, labels, spacing)
    airway = (labels == ORGANS["trachea"]) | (
        ~lungs & (hu < -600) & _near(labels == ORGANS["trachea"], 4, spacing)
    )
    airway &= (hu < -400) & ~lungs
    bone = _bone(hu, labels, spacing) & ~lungs
    out = np.where(np.isin(labels, (*LOBES, *BONES, ORGANS["trachea"])), 0, labels).astype(np.uint8)
    for name, low, high in SOFT:
        out = _soft(out, soft, ORGANS[name], low, high, ~lungs & ~bone & ~airway, spacing)
    out[(hu < -250) & ~np.isin(out, [ORGANS["stomach"], ORGANS["colon_bowel"]])] = 0
    for wanted, numbers in ((lungs, LOBES), (bone, BONES)):
        named = np.where(np.isin(labels, numbers), labels, 0).astype(np.uint8)
        named = with_nearest(named, named > 0, wanted & (named == 0), spacing)
        out[wanted] = named[wanted]
    out[airway] = ORGANS["trachea"]
    return out


SOFT = (
    ("liver", 30, 220),
    ("spleen", 30, 220),
    ("heart", 20, 400),
    ("aorta", 60, 500),
    ("great_vessels", 60, 900),
    ("pulmonary_vessels", 60, 500),
)
"""Organs that grow or shrink by a few millimetres to where tissue is of these Hounsfield units."""


def smoothed(hu: Volume) -> Volume:
    """Return slices without the noise of single voxels."""
    return np.stack([cv2.medianBlur(plane.astype(np.float32), 5) for plane in hu])


def _near(mask: Mask, millimetres: float, spacing: Spacing) -> Mask:
    near: Mask = ndimage.distance_transform_edt(~mask, spacing) <= millimetres
    return near


def _lungs(hu: Volume, labels: Labels, spacing: Spacing) -> Mask:
    """Air near the carried lungs, in large pieces, vessels within it filled, airway left out."""
    carried = np.isin(labels, LOBES)
    trachea = _near(labels == ORGANS["trachea"], 5, spacing) & (hu < -900)
    gut = np.isin(labels, [ORGANS["stomach"], ORGANS["colon_bowel"]])
    air = (hu < -450) & _near(carried, 15, spacing) & ~trachea & ~gut
    parts, count = ndimage.label(ndimage.binary_opening(air, iterations=1))
    sizes = np.bincount(parts.ravel())
    overlap = np.bincount(parts[carried].ravel(), minlength=count + 1)
    kept = [n for n in range(1, count + 1) if sizes[n] > 20000 and overlap[n] > 0.5 * sizes[n]]
    lungs = np.isin(parts, kept)
    lungs |= air & ndimage.binary_dilation(lungs)
    reach = round(5.0 / spacing[1])
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    closed = (
        np.stack([cv2.morphologyEx(plane.astype(np.uint8), cv2.MORPH_CLOSE, kernel) for plane in lungs]) > 0
    )
    closed &= ~trachea & ~np.isin(labels, [ORGANS[name] for name in VESSELS])
    return lungs | closed


def _bone(hu: Volume, labels: Labels, spacing: Spacing) -> Mask:
    """Dense voxels near carried bone, marrow filled; not what contrast medium makes dense."""
    carried = np.isin(labels, BONES)
    bloody = ndimage.binary_erosion(np.isin(labels, [ORGANS[name] for name in VESSELS]), iterations=3)
    dense = (hu > BONE) & _near(carried, 12, spacing) & ~bloody
    dense &= ~(np.isin(labels, [ORGANS["kidneys"], ORGANS["liver"], ORGANS["spleen"]]) & (hu < 300))
    parts, _ = ndimage.label(dense)
    sizes = np.bincount(parts.ravel())
    touched = np.bincount(parts[carried].ravel(), minlength=len(sizes))
    dense = (sizes > 60)[parts] & (touched > 0.1 * sizes)[parts] & (parts > 0)
    reach = round(3.0 / spacing[1])
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    closed = (
        np.stack([cv2.morphologyEx(plane.astype(np.uint8), cv2.MORPH_CLOSE, kernel) for plane in dense]) > 0
    )
    canal = _canal(hu, labels)
    filled = np.stack([ndimage.binary_fill_holes(plane) for plane in closed]) & ~canal
    return dense | (filled & (hu > 20))


def _canal(hu: Volume, labels: Labels) -> Mask:
    """The spinal canal: soft tissue between the carried vertebrae's parts."""
    bone = labels == ORGANS["vertebrae"]
    filled = np.stack([ndimage.binary_fill_holes(plane) for plane in bone])
    return ndimage.binary_erosion(filled & ~bone, iterations=1) & (hu < 80)


def _soft(
    out: Labels, hu: Volume, number: int, low: float, high: float, free: Mask, spacing: Spacing
) -> Labels:
    organ = out == number
    tissue = (hu > low) & (hu < high) & free & ((out == 0) | organ)
    grown = tissue & _near(organ, 6, spacing)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
    kept = np.stack([cv2.morphologyEx(plane.astype(np.uint8), cv2.MORPH_OPEN, kernel) for plane in grown]) > 0
    kept = kept | (grown & organ)
    parts, count = ndimage.label(kept)
    if count > 1:
        sizes = np.bincount(parts.ravel())
        sizes[0] = 0
        kept = (sizes > 0.05 * sizes.max())[parts] & (parts > 0)
    new = np.where(organ, 0, out).astype(np.uint8)
    new[kept & ((out == 0) | organ)] = number
    return new
