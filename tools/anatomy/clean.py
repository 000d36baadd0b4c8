"""Steps that make a template of a CT: each takes and gives arrays ``[z, y, x]``."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from organs import BONES, LOBES
from scipy import ndimage

from xrv_node.phantom.template import ORGANS

VESSELS = ("heart", "aorta", "great_vessels", "pulmonary_vessels")

Volume = NDArray[np.float32]
Labels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Spacing = tuple[float, float, float]

AIR = -1000.0
BLOOD = 45.0
"""Hounsfield units of blood without contrast medium."""

THICKEST = 14.0
"""Of a vessel within a lung, in mm."""

LEVELS = np.concatenate(
    [np.arange(-1000, -200, 40), np.arange(-200, 200, 20), np.arange(200, 1600, 50)]
).astype(np.int16)
"""What Hounsfield units are rounded to: a step in a lung is 4 % of water, less than its noise."""


def body(hu: Volume) -> Mask:
    """Return the body without table, mattress and gown: the largest thing on each slice, its holes filled."""
    out = np.zeros(hu.shape, np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (11, 11))
    for plane, into in zip(hu, out, strict=True):
        opened = cv2.morphologyEx((plane > -250).astype(np.uint8), cv2.MORPH_OPEN, kernel)
        _, parts, stats, _ = cv2.connectedComponentsWithStats(opened)
        outline, _ = cv2.findContours(
            (parts == 1 + np.argmax(stats[1:, cv2.CC_STAT_AREA])).astype(np.uint8),
            cv2.RETR_EXTERNAL,
            cv2.CHAIN_APPROX_NONE,
        )
        cv2.drawContours(into, outline, -1, 1, -1)
    return ndimage.binary_dilation(out > 0, ndimage.generate_binary_structure(3, 1)) & (
        ndimage.uniform_filter(out.astype(np.float32), (3, 1, 1)) > 0.4
    )


def only_body(hu: Volume) -> Volume:
    """Return Hounsfield units of the body, and air around it."""
    return np.where(body(hu), hu.clip(AIR, 2000), np.float32(AIR))


def without_contrast(hu: Volume, labels: Labels, spacing: Spacing) -> Volume:
    """Return soft tissue as it is without contrast medium: bone is where bone is labelled.

    Streaks that leave a vein full of it are soft tissue as well, up to 40 mm away.
    """
    bone = ndimage.binary_dilation(np.isin(labels, (*BONES, ORGANS["costal_cartilage"])), iterations=2)
    air = np.isin(labels, (*LOBES, ORGANS["trachea"]))
    out = np.where(~bone & (hu > 100), np.float32(60), hu)
    dense = ndimage.binary_opening(~bone & (hu > 700))
    if dense.any():
        streaks = ndimage.distance_transform_edt(~dense, spacing) < 40
        out = np.where(streaks & ~bone & ~air, out.clip(-110, 60), out)
    blood = np.isin(labels, [ORGANS[name] for name in VESSELS])
    out[blood] = np.clip(hu[blood], 20, 70) * 0.3 + BLOOD * 0.7
    return out


def hilar_vessels(hu: Volume, labels: Labels, spacing: Spacing) -> Labels:
    """Return labels with what else is full of contrast medium between heart and lungs: pulmonary arteries."""
    bone = ndimage.binary_dilation(np.isin(labels, (*BONES, ORGANS["costal_cartilage"])), iterations=3)
    root = labels == ORGANS["pulmonary_vessels"]
    near = ndimage.distance_transform_edt(~root, spacing) < 35
    found = near & (labels == 0) & ~bone & (hu > 110)
    found = ndimage.binary_opening(found)
    out = labels.copy()
    out[found] = ORGANS["pulmonary_vessels"]
    return out


def airway(hu: Volume, labels: Labels) -> Labels:
    """Return labels with the whole column of air that the trachea's label is a part of."""
    air = (hu < -600) & ~np.isin(labels, LOBES)
    parts, _ = ndimage.label(air)
    mine = np.unique(parts[(labels == ORGANS["trachea"]) & air])
    out = labels.copy()
    out[np.isin(parts, mine[mine > 0]) & (labels == 0)] = ORGANS["trachea"]
    return out


def without_holes(labels: Labels, spacing: Spacing) -> Labels:
    """Return labels whose unnamed slits are named like the nearest organ: up to 3 mm wide, or enclosed."""
    out = labels
    reach = max(1, round(1.5 / spacing[1]))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    for names in (VESSELS, ("liver",), ("spleen",), ("vertebrae",), ("stomach",), ("kidneys",)):
        these = np.isin(out, [ORGANS[name] for name in names])
        closed = (
            np.stack([cv2.morphologyEx(plane.astype(np.uint8), cv2.MORPH_CLOSE, kernel) for plane in these])
            > 0
        )
        if names != ("vertebrae",):  # the canal is not bone
            closed = np.stack([ndimage.binary_fill_holes(plane) for plane in closed])
        out = with_nearest(out, these, closed & (out == 0), spacing)
    return out


def calm(hu: Volume, lungs: Mask) -> Volume:
    """Return tissue outside the lungs with less of the CT's noise: edges are kept."""
    small = np.stack([cv2.bilateralFilter(plane, 7, 90, 1.6) for plane in hu.clip(-1000, 1600)])
    return np.where(lungs, hu, small)


def lung_space(labels: Labels, hu: Volume, spacing: Spacing) -> Labels:
    """Return labels with the lobes' holes filled and rims reached: vessels belong to the lobe around."""
    lungs = np.isin(labels, LOBES)
    reach = max(1, round(4.0 / spacing[1]))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    closed = (
        np.stack([cv2.morphologyEx(plane.astype(np.uint8), cv2.MORPH_CLOSE, kernel) for plane in lungs]) > 0
    )
    closed = np.stack([ndimage.binary_fill_holes(plane) for plane in closed])
    rim = ndimage.binary_dilation(lungs, iterations=3) & (hu < -500)
    return with_nearest(labels, lungs, (closed | rim) & (labels == 0), spacing)


def with_nearest(labels: Labels, known: Mask, wanted: Mask, spacing: Spacing) -> Labels:
    """Return labels with ``wanted`` voxels named like the nearest ``known`` one."""
    if not wanted.any():
        return labels
    box = ndimage.find_objects((wanted | known).astype(np.uint8))[0]
    at = ndimage.distance_transform_edt(~known[box], spacing, return_distances=False, return_indices=True)
    out = labels.copy()
    out[box] = np.where(wanted[box], labels[box][tuple(at)], labels[box])
    return out


def ball_filled(
    hu: Volume, labels: Labels, spacing: Spacing, centre: tuple[int, int, int], radius: float, shift: int
) -> tuple[Volume, Labels]:
    """Return a lung without what lies in a ball: texture comes from ``shift`` slices away, in the same lobe.

    ``centre`` is z, y, x; ``radius`` in millimetres, of which the outer fifth is a fade.
    """
    z, y, x = np.ogrid[tuple(slice(n) for n in hu.shape)]
    dz, dy, dx = spacing
    away = np.sqrt(((z - centre[0]) * dz) ** 2 + ((y - centre[1]) * dy) ** 2 + ((x - centre[2]) * dx) ** 2)
    lungs = np.isin(labels, LOBES)
    near = away < radius
    planes = np.flatnonzero(near.any(axis=(1, 2)))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (71, 71))
    space = lungs.copy()
    for k in planes:  # a tumour at the pleura leaves a bay in the lung's outline: close it
        space[k] = (
            cv2.morphologyEx(np.pad(lungs[k].astype(np.uint8), 80), cv2.MORPH_CLOSE, kernel)[80:-80, 80:-80]
            > 0
        )
    inside = near & space & ((labels == 0) | lungs)
    there = np.roll(hu, shift, axis=0)
    usable = np.roll(lungs, shift, axis=0)
    rng = np.random.default_rng(0)
    air = hu[lungs & (away < 2 * radius) & (hu < -750)]
    patch = (
        np.where(usable, there, rng.choice(air, hu.shape).astype(np.float32))
        if not usable[inside].all()
        else there
    )
    weight = np.clip((radius - away) / (0.2 * radius), 0, 1).astype(np.float32)
    out = hu.copy()
    out[inside] = (weight * patch + (1 - weight) * np.minimum(hu, patch))[inside]
    named = with_nearest(labels, lungs & ~near, inside, spacing)
    return out, named


def thinned(hu: Volume, labels: Labels, factors: tuple[int, int, int]) -> tuple[Volume, Labels]:
    """Return a coarser grid: means of tissue, the commonest label of each block, bone before others."""
    fz, fy, fx = factors
    nz, ny, nx = (n // f for n, f in zip(hu.shape, factors, strict=True))
    blocks = (nz, fz, ny, fy, nx, fx)
    cut = (slice(nz * fz), slice(ny * fy), slice(nx * fx))
    mean = hu[cut].reshape(blocks).mean(axis=(1, 3, 5))
    most = np.zeros((nz, ny, nx), np.float32)
    named = np.zeros((nz, ny, nx), np.uint8)
    for number in np.unique(labels):
        share = (labels[cut] == number).reshape(blocks).mean(axis=(1, 3, 5), dtype=np.float32)
        if int(number) in BONES:
            share *= 1.3
        better = share > most
        named[better], most[better] = number, share[better]
    return mean.astype(np.float32), named


def vessels_named(hu: Volume, labels: Labels, spacing: Spacing) -> Labels:
    """Return labels with the lungs' vessels: denser than -600 within, the outermost voxels left out.

    What is thicker than `THICKEST` is no vessel: the top of a dome, and no part of a lung either.
    """
    lungs = np.isin(labels, LOBES)
    inner = np.stack([ndimage.binary_erosion(plane, iterations=1) for plane in lungs])
    dense = inner & (hu > -600)
    size = [max(3, round(THICKEST / mm)) for mm in (spacing[2], spacing[1])]
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, size)
    thick = np.stack([cv2.morphologyEx(plane.astype(np.uint8), cv2.MORPH_OPEN, disc) for plane in dense]) > 0
    out = labels.copy()
    out[dense] = ORGANS["lung_vessels"]
    out[thick] = 0
    return out


def write(path: Path, hu: Volume, labels: Labels, spacing: Spacing) -> None:
    """Write a template: ``.npz`` with LZMA, which NumPy reads and which is a third smaller than its own."""
    nearest = np.abs(
        LEVELS[None].astype(np.float32) - np.arange(-1024, 1700, dtype=np.float32)[:, None]
    ).argmin(axis=1)
    codes = nearest[hu.round().astype(int).clip(-1024, 1699) + 1024].astype(np.uint8)
    arrays = {"hu": codes, "labels": labels, "levels": LEVELS, "spacing": np.array(spacing, np.float32)}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), buffer.getvalue(), zipfile.ZIP_LZMA)
