"""An image as a picture for a screen: the grey that the node's reader shows, colours as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.pixels.processing import convert_color_space
from pydicom.valuerep import DSfloat

from xrv_node.errors import ImageError
from xrv_node.radiograph import dicom
from xrv_node.radiograph import frame as coded
from xrv_node.radiograph.display import display
from xrv_node.radiograph.header_limits import refuse
from xrv_node.radiograph.layout import layout
from xrv_node.radiograph.lookup import photometric
from xrv_node.reasons import Reason
from xrv_node.web.dicomweb import frames as located
from xrv_node.web.dicomweb.frames import Frames
from xrv_node.web.dicomweb.view import View, Viewport, Window

Picture = NDArray[np.uint8]
"""``[rows, columns]``, or ``[rows, columns, 3]``, RGB."""


def picture(frames: Frames, index: int, window: Window | None = None) -> tuple[Picture, float]:
    """Render a frame in its own matrix.

    Parameters
    ----------
    frames
        Of a file.
    index
        From 0.
    window
        In place of the header's values of interest; colours have none.

    Returns
    -------
    Picture, float
        And the height of a pixel over its width.

    Raises
    ------
    ImageError
        If it cannot be decoded.
    """
    if frames.tag != located.PIXEL_DATA:  # numbers, which no attribute says how to show
        raise ImageError(Reason("no-pixel-data"))
    image = located.image(frames, index)
    with located.at_once:
        try:
            if photometric(image).startswith("MONOCHROME"):
                if window:
                    _put(image, window)
                radiograph = dicom.decode(image)
                return display(radiograph), radiograph.aspect
            return _colours(image), 1.0
        except ImageError:
            raise
        except Exception as error:  # bytes from outside
            raise ImageError(Reason("undecodable", why=type(error).__name__)) from error


def fitted(picture: Picture, view: Viewport | None, aspect: float = 1.0) -> Picture:
    """Cut a region out of a picture and bring it to a size (PS3.18 8.3.5.1.3).

    Parameters
    ----------
    picture
        In the image's matrix.
    view
        The region is cut at the image's edges, and fits into the size without being distorted.
    aspect
        Height of a pixel over its width, of the picture; afterwards it is 1.
    """
    import cv2

    if view is None:
        return picture
    rows, columns = picture.shape[:2]
    across, down = _span(view.left, view.width, columns), _span(view.top, view.height, rows)
    region = picture[down, across]
    if view.width is not None and view.width < 0:
        region = region[:, ::-1]
    if view.height is not None and view.height < 0:
        region = region[::-1]
    tall, wide = region.shape[0] * aspect, region.shape[1]
    scale = min(view.columns / wide, view.rows / tall)
    size = max(1, round(wide * scale)), max(1, round(tall * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(np.ascontiguousarray(region), size, interpolation=method), np.uint8)


def written(picture: Picture, media_type: str, view: View) -> bytes:
    """Write a picture as PNG or JPEG.

    Raises
    ------
    ImageError
        If it is larger than the format can be.
    """
    import cv2

    options = {
        "image/jpeg": (".jpg", [cv2.IMWRITE_JPEG_QUALITY, view.quality]),
        "image/png": (".png", [cv2.IMWRITE_PNG_COMPRESSION, 1]),
    }
    ending, settings = options[media_type]
    pixels: NDArray[Any] = picture if picture.ndim == 2 else picture[..., ::-1]
    try:
        done, data = cv2.imencode(ending, np.ascontiguousarray(pixels), settings)
    except cv2.error as error:
        raise ImageError(Reason("undecodable", why="size")) from error
    if not done:
        raise ImageError(Reason("undecodable", why="size"))
    return data.tobytes()


def _span(begin: float, length: float | None, most: int) -> slice:
    first = min(int(begin), most - 1)
    last = most if length is None else round(begin + abs(length))
    return slice(first, min(max(last, first + 1), most))


def _put(image: Dataset, window: Window) -> None:
    """Put a window in the place of what the header says of values of interest."""
    image.pop("VOILUTSequence", None)
    image.WindowCenter = DSfloat(window.center, auto_format=True)
    image.WindowWidth = DSfloat(window.width, auto_format=True)
    image.VOILUTFunction = window.function


def _colours(image: Dataset) -> Picture:
    refuse(image, ("RedPaletteColorLookupTableData",))
    said = layout(image)
    decoded = coded.decode(image, said)
    samples = decoded.samples
    if decoded.photometric == "PALETTE COLOR":
        samples = dicom.palette(samples, image, said.syntax)
        depth = samples.dtype.itemsize * 8
    else:
        depth = decoded.stored.bits_stored
    if depth > 8:
        samples = samples >> (depth - 8)
    colours = samples.astype(np.uint8)
    if decoded.photometric.startswith("YBR"):
        colours = convert_color_space(colours, "YBR_FULL", "RGB")
    return np.ascontiguousarray(colours, np.uint8)
