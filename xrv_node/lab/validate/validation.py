"""A validation as it is reported: what the page, the JSON and the CSV files are made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xrv_node.lab.statistics.evaluate import Evaluation
    from xrv_node.lab.validate.about import About
    from xrv_node.lab.validate.published import Published, PublishedStructure
    from xrv_node.lab.validate.returned_masks import ReturnedMasks
    from xrv_node.lab.validate.store_with_labels import Localisation
    from xrv_node.lab.validate.structures import StructureFigures
    from xrv_node.lab.validate.through_node import Difference


@dataclass(frozen=True, slots=True, eq=False)
class ThroughNode:
    """The same over the wire."""

    difference: Difference
    evaluation: Evaluation | None
    """Of the scores that came back; None where none did."""
    masks: ReturnedMasks | None = None
    """Of the segmentations; None where masks were not compared."""


@dataclass(frozen=True, slots=True, eq=False)
class Validation:
    """A validation as it is reported."""

    about: About
    evaluation: Evaluation
    published: Published | None
    localisation: tuple[Localisation, ...] = ()
    """Of each finding of which regions are marked."""
    through_node: ThroughNode | None = None
    structures: tuple[StructureFigures, ...] = ()
    """Of each anatomical structure of which masks were compared."""
    published_structures: tuple[PublishedStructure, ...] = ()
