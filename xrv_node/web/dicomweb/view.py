"""How an image is to be rendered: the query parameters of PS3.18 8.3.5, checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from xrv_node.web.problem import Problem

FUNCTIONS = {"linear": "LINEAR", "linear-exact": "LINEAR_EXACT", "sigmoid": "SIGMOID"}
"""As the URL has them (8.3.5.1.4) and as the header does (PS3.3 C.11.2.1.2)."""
LONGEST = 4096
"""Pixels of a side that a picture may be asked to have: more than the screens for mammograms show."""
THUMBNAIL = 256
_LARGEST = 1e9
"""Of a number; beyond it float32 tells no pixels and no values apart."""
_QUALITY = 90
_LEAST_WIDTH = {"LINEAR": 1.0}


@dataclass(frozen=True, slots=True)
class Window:
    """Values of interest in place of the header's."""

    center: float
    width: float
    function: str
    """VOI LUT Function."""


@dataclass(frozen=True, slots=True)
class Viewport:
    """The size of the picture, and what of the image is in it."""

    columns: int
    rows: int
    left: float = 0.0
    top: float = 0.0
    width: float | None = None
    """Of the region in the image's pixels; None: all, below 0: mirrored."""
    height: float | None = None


@dataclass(frozen=True, slots=True)
class View:
    """All of it."""

    window: Window | None = None
    viewport: Viewport | None = None
    quality: int = _QUALITY
    """Of JPEG, 1 to 100."""


def view(parameters: Mapping[str, str], *, thumbnail: bool = False) -> View:
    """Read the parameters of a request.

    Parameters
    ----------
    parameters
        Of the URL's query; those that are not of rendering do not count.
    thumbnail
        Whether a small picture is asked for: then only its size can be chosen (PS3.18 10.4.1.1.5).

    Raises
    ------
    Problem
        400, naming the parameter.
    """
    viewport = _viewport(parameters["viewport"]) if "viewport" in parameters else None
    if thumbnail:
        return View(viewport=viewport or Viewport(THUMBNAIL, THUMBNAIL))
    quality = parameters.get("quality", str(_QUALITY))
    if not (quality.isascii() and quality.isdecimal() and len(quality) <= 3 and 1 <= int(quality) <= 100):
        raise Problem(400, "quality: a whole number from 1 to 100")
    window = _window(parameters["window"]) if "window" in parameters else None
    return View(window, viewport, int(quality))


def _window(text: str) -> Window:
    pieces = text.split(",")
    function = FUNCTIONS.get(pieces[2].strip().lower()) if len(pieces) == 3 else None
    numbers = [_number(piece) for piece in pieces[:2]]
    center, width = numbers if len(numbers) == 2 else (None, None)
    if function is None or center is None or width is None:
        raise Problem(400, f"window: center,width,function with a function of {', '.join(FUNCTIONS)}")
    if width <= 0 or width < _LEAST_WIDTH.get(function, 0):
        raise Problem(400, "window: a width above 0, for linear of at least 1")
    return Window(center, width, function)


def _viewport(text: str) -> Viewport:
    pieces = text.split(",")
    numbers = [_number(piece) for piece in pieces[:2]]
    # left out ones of the region are empty, or not there
    region = [_number(piece) if piece.strip() else 0.0 for piece in pieces[2:]]
    if len(pieces) not in (2, 4, 6) or None in numbers or None in region:
        raise Problem(
            400, "viewport: width,height of the picture, or these and left,top,width,height of a region"
        )
    columns, rows = (int(number or 0) for number in numbers)
    if not (1 <= columns <= LONGEST and 1 <= rows <= LONGEST):
        raise Problem(400, f"viewport: a width and a height from 1 to {LONGEST}")
    left, top, width, height = [*(number or 0.0 for number in region), 0.0, 0.0, 0.0, 0.0][:4]
    if left < 0 or top < 0:
        raise Problem(400, "viewport: a region that begins in the image")
    return Viewport(columns, rows, left, top, width or None, height or None)


def _number(text: str) -> float | None:
    """A number that is one."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and abs(number) <= _LARGEST and "_" not in text else None
