"""From an image and its masks to the size of a network, both the same way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrv_node.radiograph.image import Radiograph
from xrv_node.radiograph.prepare import DEFAULT, LIMIT, centre, prepare
from xrv_node.radiograph.resample import find


@dataclass(frozen=True, slots=True)
class Fit:
    """How images are cropped and resized: torchxrayvision's ``XRayCenterCrop`` and ``XRayResizer``."""

    size: int | None = None
    """Side of the square that comes out, in pixels (``XRayResizer(size)``); None: as large as they are."""
    crop: bool = True
    """Take the largest square in the middle (``XRayCenterCrop``); else the whole image is squeezed."""
    resampler: str = DEFAULT
    """A name of ``resample.RESAMPLERS``; ``skimage`` and ``area`` are the resizer's two engines."""

    def image(self, radiograph: Radiograph) -> NDArray[np.float32]:
        """Scale, crop and resize an image.

        Returns
        -------
        ndarray
            float32 ``[1, rows, columns]`` in [-1024, 1024].

        Raises
        ------
        ConfigError
            No resampler has that name.
        """
        if self.size is not None:
            return prepare(radiograph, self.size, self.resampler, crop=self.crop)[np.newaxis]
        pixels = centre(radiograph.pixels, radiograph.aspect) if self.crop else radiograph.pixels
        middle = (radiograph.low + radiograph.high) / 2
        scaled = pixels.astype(np.float32)
        scaled -= np.float32(middle)
        scaled *= np.float32(LIMIT / (radiograph.high - middle))
        return scaled[np.newaxis]

    def mask(self, mask: NDArray[np.bool_], aspect: float = 1.0) -> NDArray[np.float32]:
        """Crop and resize a mask ``[rows, columns]`` of the image, whose pixels are `aspect` times as high as
        wide.

        Returns
        -------
        ndarray
            float32 ``[1, rows, columns]`` in [0, 1]; after resizing the share of a pixel that is inside, as
            with torchxrayvision: compare with 0.5 for a mask again.

        Raises
        ------
        ConfigError
            No resampler has that name.
        """
        pixels = (centre(mask, aspect) if self.crop else mask).astype(np.uint8)
        if self.size is None:
            return pixels.astype(np.float32)[np.newaxis]
        share = find(self.resampler).function(pixels, 0.0, self.size)
        return np.clip(share, 0, 1)[np.newaxis]
