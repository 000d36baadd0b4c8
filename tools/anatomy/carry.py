"""Carry labels from one CT onto another: registration says where things are."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk  # noqa: N813
from clean import Labels, Mask, Spacing, Volume
from numpy.typing import NDArray

BONE = 230.0
"""Hounsfield units over which it is bone: more than what the vessels of either CT have."""

STAGES = ((4, 60, 1.5), (2, 60, 1.5), (1, 30, 1.5))
"""Of the free-form registration: shrink factor, rounds, smoothing of the field in voxels."""

GRID_MM = 3.0
"""Voxels to register with: slices of either CT are about as thick."""


def carried(
    moving: Volume, labels: Labels, moving_spacing: Spacing, fixed: Volume, fixed_spacing: Spacing
) -> Labels:
    """Return ``labels`` of ``moving`` on the grid of ``fixed``.

    Affine, then free-form with control points as ``STAGES`` says, by mutual information (Mattes), as either
    CT has its own contrast medium.
    """
    still, other = (
        _image(_classes(hu), spacing) for hu, spacing in ((fixed, fixed_spacing), (moving, moving_spacing))
    )
    coarse_still, coarse_other = _coarse(still), _coarse(other)
    start = sitk.CenteredTransformInitializer(
        sitk.Cast(coarse_still < -500, sitk.sitkFloat32) * 0 + _lungs(coarse_still),
        _lungs(coarse_other),
        sitk.AffineTransform(3),
        sitk.CenteredTransformInitializerFilter.MOMENTS,
    )
    affine = _registration([4, 2], 200)
    affine.SetInitialTransform(start, inPlace=False)
    found = sitk.CompositeTransform([affine.Execute(coarse_still, coarse_other)])
    bend = sitk.BSplineTransformInitializer(coarse_still, [4, 4, 4])
    free = _registration([2], 30, free=True)
    free.SetMovingInitialTransform(found)
    free.SetInitialTransform(bend, inPlace=True)
    free.Execute(coarse_still, coarse_other)
    print(f"mutual information after rough bending {-free.GetMetricValue():.4f}")
    found = sitk.CompositeTransform([found, bend])
    near = sitk.Resample(coarse_other, coarse_still, found, sitk.sitkLinear, -1000.0)
    flow: sitk.Image | None = None
    for shrink, rounds, sigma in STAGES:
        one, two = (sitk.Shrink(image, [shrink] * 3) for image in (coarse_still, near))
        demons = sitk.FastSymmetricForcesDemonsRegistrationFilter()
        demons.SetNumberOfIterations(rounds)
        demons.SetSmoothDisplacementField(True)
        demons.SetStandardDeviations(sigma)
        flow = (
            demons.Execute(one, two, sitk.Resample(flow, one))
            if flow is not None
            else demons.Execute(one, two)
        )
        print(f"demons at {shrink * GRID_MM:.0f} mm: mean square difference {demons.GetMetric():.0f}")
    full = sitk.Cast(sitk.Resample(flow, coarse_still), sitk.sitkVectorFloat64)
    found = sitk.CompositeTransform([found, sitk.DisplacementFieldTransform(full)])
    named = sitk.Resample(_image(labels, moving_spacing), still, found, sitk.sitkNearestNeighbor, 0)
    result: NDArray[np.uint8] = sitk.GetArrayFromImage(named).astype(np.uint8)
    return result


def _classes(hu: Volume) -> Volume:
    """Return Hounsfield units in which contrast medium plays no part and bone stands out."""
    return np.where(hu > BONE, 300, hu.clip(-1000, 60)).astype(np.float32)


def _image(array: NDArray[np.generic], spacing: Spacing) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing[::-1])
    return image


def _coarse(image: sitk.Image) -> sitk.Image:
    size = [int(n * s / GRID_MM) for n, s in zip(image.GetSize(), image.GetSpacing(), strict=True)]
    smooth = sitk.SmoothingRecursiveGaussian(image, 1.2)
    return sitk.Cast(
        sitk.Resample(
            smooth,
            size,
            sitk.Transform(),
            sitk.sitkLinear,
            image.GetOrigin(),
            [GRID_MM] * 3,
            image.GetDirection(),
            -1000.0,
        ),
        sitk.sitkFloat32,
    )


def _lungs(image: sitk.Image) -> sitk.Image:
    """Air within the body: what does not touch the grid's sides."""
    parts = sitk.ConnectedComponent(image < -500)
    array = sitk.GetArrayFromImage(parts)
    outside = np.unique(
        np.concatenate(
            [array[:, 0].ravel(), array[:, -1].ravel(), array[:, :, 0].ravel(), array[:, :, -1].ravel()]
        )
    )
    inside: Mask = (array > 0) & ~np.isin(array, outside)
    found = sitk.GetImageFromArray(inside.astype(np.float32))
    found.CopyInformation(image)
    return found


def _registration(shrink: list[int], rounds: int, *, free: bool = False) -> sitk.ImageRegistrationMethod:
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(40)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(0.2, 1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetShrinkFactorsPerLevel(shrink)
    method.SetSmoothingSigmasPerLevel([float(n - 1) for n in shrink])
    if free:
        method.SetOptimizerAsLBFGSB(gradientConvergenceTolerance=1e-5, numberOfIterations=rounds)
    else:
        method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-4, rounds)
        method.SetOptimizerScalesFromPhysicalShift()
    return method
