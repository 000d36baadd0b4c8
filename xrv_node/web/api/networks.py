"""The networks, and which of them a node uses for what."""

from __future__ import annotations

import math

from typing_extensions import TypedDict

from xrv_node.errors import XrvNodeError
from xrv_node.models import catalog
from xrv_node.models.listing import ModelHere, listing
from xrv_node.web.node import WebNode


class Point(TypedDict):
    """The operating point of a finding."""

    label: str
    """torchxrayvision's name."""
    threshold: float | None
    """On the sigmoid's scale, at which it counts as present."""
    whose: str
    """``published`` or ``site``."""
    sensitivity: float | None
    """There, where the site has measured it."""
    specificity: float | None
    """There, where the site has measured it."""


class Network(ModelHere):
    """A network, and what this node does with it."""

    used_for: list[str]
    """``classifier``, ``segmenter`` ...; empty: it is not in use."""
    points: list[Point]
    """In force, of the classifier in use."""


def networks(node: WebNode) -> list[Network]:
    """Every network as ``xrv-node models list`` has it; those in use first."""
    uses = _uses(node)
    rows: list[Network] = [
        {
            **row,
            "used_for": uses.get(row["name"], []),
            "points": _points(node, row["name"]) if "classifier" in uses.get(row["name"], []) else [],
        }
        for row in listing(node.settings.models_dir)
    ]
    return sorted(rows, key=lambda row: not row["used_for"])


def _uses(node: WebNode) -> dict[str, list[str]]:
    models = node.settings.models
    roles = dict(zip(("classifier", "segmenter", "autoencoder"), models.names, strict=True))
    roles |= {f"check of {what}": models.attributes[what] for what in models.limits}
    if models.shadow.classifier:
        roles["shadow"] = models.shadow.classifier
    found: dict[str, list[str]] = {}
    for role, name in roles.items():
        try:
            known = catalog.find(name, directory=node.settings.models_dir).name
        except XrvNodeError:  # the start says so
            continue
        found.setdefault(known, []).append(role)
    return found


def _points(node: WebNode, name: str) -> list[Point]:
    models = node.settings.models
    entry = catalog.find(name, directory=node.settings.models_dir)
    rows: list[Point] = []
    for label, index in entry.trained_heads:
        own, rate = models.thresholds.get(label), models.measured.get(label)
        theirs = entry.thresholds[index] if entry.thresholds else math.nan
        point = own if own is not None else (None if math.isnan(theirs) else theirs)
        rows.append(
            {
                "label": label,
                "threshold": point,
                "whose": "published" if own is None else "site",
                "sensitivity": rate.sensitivity if rate else None,
                "specificity": rate.specificity if rate else None,
            }
        )
    return rows
