"""What an autoencoder makes of a user's own images, and how far it is off."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import numpy as np

from xrv_node.analyse.gate import ssim
from xrv_node.errors import ConfigError
from xrv_node.lab.images import drawing
from xrv_node.lab.images.batches import How, Options, Provenance, through
from xrv_node.lab.images.embed import WEIGHTS
from xrv_node.lab.images.files import Opened, Paths, Source, Unread
from xrv_node.report.lettering import GREY, RED, WHITE, Color, band, enlarge, enlargement, panel
from xrv_node.values import PHANTOM_WORDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

_HALF = 1024.0
"""Input and reconstruction lie in [-1024, 1024]."""


@dataclass(frozen=True, slots=True, eq=False)
class Reconstructed:
    """One image and what an autoencoder makes of it."""

    source: Source
    image: NDArray[np.float32]
    """What went in, ``[size, size]`` in [-1024, 1024]."""
    reconstruction: NDArray[np.float32]
    """``[size, size]``, about [-1024, 1024], not clipped."""
    mae: float
    """Mean absolute difference on the scale of [-1024, 1024]."""
    ssim: float
    """Structural similarity (``analyse.gate.ssim``), 1 for equal images."""
    note: str
    by: Provenance

    @property
    def path(self) -> Path:
        """The image's file."""
        return self.source.path


def reconstruct(
    paths: Paths,
    weights: str = WEIGHTS,
    **options: Unpack[Options],
) -> Iterator[Reconstructed | Unread]:
    """Squeeze images through an autoencoder and compare what comes out.

    Parameters, result and errors are those of ``classify.classify``; `weights` names an autoencoder.
    """
    from xrv_node.models.model import Autoencoder

    how = How(**options)
    model = how.load(weights)
    if not isinstance(model, Autoencoder):
        role = model.entry.role
        raise ConfigError(
            f"{model.name} ({role}) reconstructs nothing: name an autoencoder, for example {WEIGHTS}"
        )
    by = how.provenance(model)

    def finish(opened: Opened, out: NDArray[np.float32]) -> Reconstructed:
        return Reconstructed(
            source=opened.source,
            image=opened.pixels,
            reconstruction=out[0],
            mae=float(np.abs(opened.pixels - out[0]).mean()),
            ssim=ssim(opened.pixels, np.clip(out[0], -_HALF, _HALF)),
            note=opened.note,
            by=by,
        )

    return through(paths, model, how, lambda x: (model.rebuilt(x),), finish)


def write(result: Reconstructed, out: Path | str) -> Path:
    """Write one picture: input, reconstruction and absolute difference side by side, with the errors.

    Parameters
    ----------
    result
        As `reconstruct` yields it.
    out
        A folder; the picture is ``<image's name>.png`` inside it.

    Raises
    ------
    XrvNodeError
        It cannot be written.
    """
    difference = np.abs(result.image - result.reconstruction)
    shown = [_grey(result.image), _grey(result.reconstruction), _grey(difference - _HALF)]
    factor = enlargement(len(result.image))
    row = np.hstack([enlarge(part, factor) for part in shown])[..., np.newaxis].repeat(3, axis=2)
    lines: list[tuple[str, Color]] = [(PHANTOM_WORDS, RED), ("", RED)] if result.by.phantom else []
    lines += [
        ("Input | reconstruction | difference", WHITE),
        ("", WHITE),
        (f"mean absolute error {result.mae:.1f} of 2048", WHITE),
        (f"structural similarity {result.ssim:.3f}", WHITE),
        ("", WHITE),
        (result.by.model.name, GREY),
        (result.by.resampler, GREY),
    ]
    picture = np.hstack([row, panel(len(row), lines)])
    path = Path(out) / f"{result.source.name}.png"
    phantom = result.by.phantom
    drawing.save(path, np.vstack([picture, band(picture.shape[1], len(row), phantom)]))
    return path


def _grey(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """From [-1024, 1024] to 0 to 255; what lies outside is black or white."""
    shown: NDArray[np.uint8] = np.clip((image + _HALF) * (255 / (2 * _HALF)), 0, 255).round().astype(np.uint8)
    return shown
