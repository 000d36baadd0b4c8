"""Structures in a user's own images."""

from __future__ import annotations

import colorsys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import numpy as np
from pydicom import Dataset

from xrv_node import report
from xrv_node.attributes import text
from xrv_node.errors import ConfigError
from xrv_node.lab.images import drawing
from xrv_node.lab.images.batches import How, Options, Provenance, through
from xrv_node.lab.images.files import Opened, Paths, Source, Unread
from xrv_node.radiograph.display import display
from xrv_node.radiograph.image import Radiograph
from xrv_node.radiograph.prepare import frame
from xrv_node.reasons import Reason
from xrv_node.report import codes
from xrv_node.report.laterality import contradiction
from xrv_node.report.lettering import GREY, RED, WHITE, Color, Rgb, band, enlarge, enlargement, panel
from xrv_node.report.masks import placed
from xrv_node.report.overlay import outline
from xrv_node.values import (
    PHANTOM_WORDS,
    Analysis,
    Frame,
    FrontalDecision,
    ImageOutcome,
    ModelIdentity,
    ModelSet,
    StudyOutcome,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

WEIGHTS = "chestx_det"
_GOLDEN = 0.618034
"""Steps of the golden ratio around the circle of hues keep neighbours in a long list apart."""


@dataclass(frozen=True, slots=True, eq=False)
class Segmented:
    """The structures in one image."""

    source: Source
    radiograph: Radiograph
    structures: tuple[str, ...]
    """torchxrayvision's names, in channel order."""
    masks: NDArray[np.bool_]
    """``[len(structures), size, size]`` over the square in the middle; structures may overlap."""
    decision: FrontalDecision | None
    note: str
    """Also why left and right may not be the patient's."""
    by: Provenance

    @property
    def path(self) -> Path:
        """The image."""
        return self.source.path

    @property
    def frame(self) -> Frame:
        """Where the square of the masks lies in the image."""
        return frame(self.radiograph.rows, self.radiograph.columns, self.radiograph.aspect)

    @property
    def doubt(self) -> Reason | None:
        """Why left and right may not be the patient's; None where nothing says so."""
        return contradiction(self.radiograph.header or Dataset(), self.structures, self.masks)

    def mask(self, structure: str) -> NDArray[np.bool_]:
        """Return the mask of a structure on the image's own matrix, ``[rows, columns]``.

        Raises
        ------
        ConfigError
            The network does not know the structure; names are taken in any case.
        """
        known = [name.lower() for name in self.structures]
        if structure.lower() not in known:
            raise ConfigError(
                f"no structure is called {structure!r}: use one of {', '.join(self.structures)}"
            )
        row = known.index(structure.lower())
        mask: NDArray[np.bool_] = placed(self.masks[row : row + 1], self.frame)[0]
        return mask


def segment(
    paths: Paths,
    weights: str = WEIGHTS,
    **options: Unpack[Options],
) -> Iterator[Segmented | Unread]:
    """Outline anatomical structures.

    Parameters, result and errors are those of ``classify.classify``; `weights` names a segmenter, and the
    batch is 1 unless it is said.
    """
    from xrv_node.models.model import Segmenter

    options.setdefault("batch", 1)
    how = How(**options)
    model = how.load(weights)
    if not isinstance(model, Segmenter):
        raise ConfigError(
            f"{model.name} ({model.entry.role}) outlines nothing: name a segmenter, for example {WEIGHTS}"
        )
    by = how.provenance(model)

    def finish(image: Opened, masks: NDArray[np.bool_], _: NDArray[np.float32]) -> Segmented:
        made = Segmented(image.source, image.radiograph, model.targets, masks, image.decision, image.note, by)
        return made if made.doubt is None else replace(made, note=f"{image.note} {made.doubt}".strip())

    return through(paths, model, how, model.masks_and_mean, finish)


def write(
    segmented: Segmented, out: Path | str, structures: Sequence[str] = (), *, seg: bool = False
) -> list[Path]:
    """Write the structures of an image.

    Parameters
    ----------
    segmented
        As `segment` yields it.
    out
        A folder; the files go into one of the image's name inside it.
    structures
        Those to draw and write as PNG; none: all.
    seg
        Make a DICOM Segmentation of all structures too, where the image is DICOM and one was found.

    Returns
    -------
    list of Path
        ``overlay.png``; ``<structure>.png`` for each structure, 255 inside and 0 outside, on the image's
        matrix, empty ones too; ``seg.dcm``.

    Raises
    ------
    ConfigError
        A structure is not known, or has no codes to be named with in DICOM.
    XrvNodeError
        A file cannot be written.
    """
    folder, lines = Path(out) / segmented.source.name, _heading(segmented)
    pixels = display(segmented.radiograph)
    factor = enlargement(len(pixels))
    picture: Rgb = np.repeat(enlarge(pixels, factor)[..., np.newaxis], 3, axis=2)
    paths = [folder / "overlay.png"]
    for number, name in enumerate(structures or segmented.structures):
        mask = segmented.mask(name)
        paths.append(folder / f"{name.replace(' ', '_').replace('/', '-')}.png")
        drawing.save(paths[-1], mask.astype(np.uint8) * 255)
        if mask.any():
            outline(picture, mask, factor, _color(name, number))
            lines.append((name, _color(name, number)))
    by = segmented.by
    lines += [("", WHITE), (by.model.name, GREY), (by.resampler, GREY)]
    beside = np.hstack([picture, panel(len(picture), lines)])
    drawing.save(paths[0], np.vstack([beside, band(beside.shape[1], len(picture), by.phantom)]))
    for data in _objects(segmented) if seg else ():
        paths.append(folder / "seg.dcm")
        drawing.write_bytes(paths[-1], data)
    return paths


def _heading(segmented: Segmented) -> list[tuple[str, Color]]:
    lines: list[tuple[str, Color]] = []
    if segmented.by.phantom:
        lines += [(PHANTOM_WORDS, RED), ("", RED)]
    if segmented.doubt is not None:
        lines += [("Left and right are not verified", RED), ("", RED)]
    return [*lines, ("Anatomy", WHITE)]


def _color(structure: str, number: int) -> Color:
    """Return the colour that the structure has in DICOM, or one of its own."""
    row = codes.structures().get(structure)
    if row is not None:
        return row.color
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(number * _GOLDEN % 1, 0.7, 1))
    return red, green, blue


def _objects(segmented: Segmented) -> list[bytes]:
    """Make the DICOM Segmentation, if there is a header to make it for and something in it."""
    header, decision = segmented.radiograph.header, segmented.decision
    if header is None or decision is None or not text(header, "SOPInstanceUID"):
        return []
    # the other networks did not run, and say so
    classifier = ModelIdentity("classifier", "not run", "")
    autoencoder = ModelIdentity("autoencoder", "not run", "")
    by = segmented.by
    analysis = Analysis(
        sop_instance_uid=text(header, "SOPInstanceUID"),
        model_set=ModelSet(classifier, by.model, autoencoder, by.phantom),
        findings=(),
        structures=segmented.structures,
        masks=segmented.masks,
        frame=segmented.frame,
        reconstruction_error=0.0,
        embedding=np.zeros(0, np.float32),
        resampler=by.resampler,
        ssim=0.0,
    )
    outcome = StudyOutcome(
        study_instance_uid=text(header, "StudyInstanceUID"),
        images=(ImageOutcome(header, decision, analysis),),
        model_set=analysis.model_set,
        closed_at=datetime.now().astimezone(),
    )
    return [report.to_bytes(result.dataset) for result in report.build(outcome, ["seg"])]
