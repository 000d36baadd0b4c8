"""The pixels of a DICOM object: decode, then show as PS3.3 says."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.datadict import keyword_for_tag
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import UID, ExplicitVRBigEndian

from xrv_node.errors import ImageError
from xrv_node.radiograph import frame
from xrv_node.radiograph.aspect import aspect
from xrv_node.radiograph.header_limits import passed_over, too_large
from xrv_node.radiograph.image import RGB_WEIGHTS, Pixels, Radiograph, luminance
from xrv_node.radiograph.layout import layout
from xrv_node.radiograph.lookup import Rendering, Stored, rendering
from xrv_node.reasons import Reason

_PALETTE = tuple(f"{colour}PaletteColorLookupTableData" for colour in ("Red", "Green", "Blue"))
_SHOWN_BY = frozenset({0x0028, 0x2050})
"""Groups of what says how the pixels are stored and shown (PS3.6): without it the image is another one."""
_COLOUR_PROFILE = 0x00282000
"""ICC Profile, which is not applied."""
_TABLE_BITS = 16
"""Up to this depth the pipeline is computed once per possible value and looked up."""


def decode(dataset: Dataset) -> Radiograph:
    """Decode a DICOM image and bring it to what the radiologist would see.

    Parameters
    ----------
    dataset
        As ``header.read_object`` returns it. Its pixel data are removed: what is left becomes the header.

    Returns
    -------
    Radiograph
        Colour images become grey (luma of BT.601; the Y of a YBR image) and skip the grey-scale pipeline.

    Raises
    ------
    ImageError
        If the object has no single frame that can be decoded.
    """
    for tag in sorted(passed_over(dataset)):
        if tag.group in _SHOWN_BY and tag != _COLOUR_PROFILE:
            raise too_large(keyword_for_tag(tag) or str(tag))
    said = layout(dataset)
    decoded = frame.decode(dataset, said)
    samples, stored, cautions = decoded.samples, decoded.stored, decoded.cautions
    tall = aspect(dataset)
    if tall != 1:
        cautions = (*cautions, Reason("pixels-not-square", ratio=f"{tall:.3g}"))
    if said.photometric == "PALETTE COLOR":
        samples = palette(samples, dataset, said.syntax)
        high = int(np.iinfo(samples.dtype).max)
    else:
        high = (1 << stored.bits_stored) - 1
    for keyword in ("PixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        dataset.pop(keyword, None)
    if samples.ndim == 3:
        # the Y of a YBR image is the luma already
        is_luma = decoded.photometric.startswith("YBR")
        grey = samples[..., 0] if is_luma else luminance(samples, RGB_WEIGHTS)
        return Radiograph(np.ascontiguousarray(grey), 0.0, float(high), dataset, tall, cautions)
    view = rendering(dataset, stored)
    return Radiograph(_show(samples, stored, view), view.low, view.high, dataset, tall, cautions)


def palette(samples: NDArray[np.integer], dataset: Dataset, syntax: UID) -> NDArray[np.integer]:
    """Look up the colours of a palette image.

    Parameters
    ----------
    samples
        As decoded.
    dataset
        With the palette (PS3.3 C.7.9), in that transfer syntax.

    Returns
    -------
    numpy.ndarray
        ``[rows, columns, 3]``, RGB, of as many bits as its type has.

    Raises
    ------
    ImageError
        If the palette cannot be read.
    """
    try:
        if syntax == ExplicitVRBigEndian:
            # pydicom 3.0 reads the tables, which are OW, as if their words were little endian
            for name in _PALETTE:
                if table := dataset.get(name):
                    setattr(dataset, name, np.frombuffer(table, ">u2").astype("<u2").tobytes())
        colour: NDArray[np.integer] = apply_color_lut(samples, dataset)
    except Exception as error:  # a palette from outside
        raise ImageError(Reason("palette-damaged")) from error
    return colour[..., :3]


def _show(samples: NDArray[np.integer], stored: Stored, view: Rendering) -> Pixels:
    aligned = stored.high_bit == stored.bits_stored - 1
    if view.is_identity and aligned and stored.low <= samples.min() and samples.max() <= stored.high:
        return samples
    if samples.dtype.itemsize * 8 > _TABLE_BITS:
        return view.show(stored.values(samples))
    samples = samples.astype(samples.dtype.newbyteorder("="), copy=False)
    unsigned = samples.view(f"u{samples.dtype.itemsize}")
    possible = np.arange(1 << 8 * samples.dtype.itemsize, dtype=unsigned.dtype).view(samples.dtype)
    shown: NDArray[np.float32] = view.show(stored.values(possible))[unsigned]
    return shown
