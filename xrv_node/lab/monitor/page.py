"""A comparison for people (``templates/monitor.html``) and for Prometheus (a text file)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from xrv_node import durable
from xrv_node.lab.monitor.drift import ALPHA, FEWEST, LOOK, MOVED, Drift, Shift
from xrv_node.templates import render
from xrv_node.values import PHANTOM_WORDS

_VALUES = {"stable": 0, "look": 1, "moved": 2}

_COLOURS = {"moved": "bad", "look": "look", "stable": "good", "too few": ""}
"""By level, those that are to be looked at first."""

_KINDS = {
    "score": "Score",
    "reconstruction": "Reconstruction",
    "header": "Header field",
}


def write(drift: Drift, folder: Path) -> list[Path]:
    """Write ``drift.html`` and ``drift.prom``; returns their paths.

    The second is for the textfile collector of Prometheus' node exporter.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {folder / "drift.html": html(drift).encode(), folder / "drift.prom": metrics(drift)}
    for path, content in files.items():
        durable.write(path, [content])
        path.chmod(0o644)  # the exporter is another user, and there is nothing of a patient in it
    return list(files)


def metrics(drift: Drift) -> bytes:
    """The comparison in Prometheus' text format; labels are kinds and names of quantities only."""
    registry = CollectorRegistry()

    def gauge(name: str, meaning: str, labels: tuple[str, ...] = ()) -> Gauge:
        return Gauge(f"xrv_node_drift_{name}", meaning, labels, registry=registry)

    gauge("images", "Recent images that were compared").set(drift.images_now)
    gauge("baseline_images", "Images of the baseline").set(drift.images_before)
    gauge("same_models", "Whether the baseline is of the same networks").set(drift.same_models)
    of_psi = gauge("psi", "Population stability index", ("kind", "name"))
    of_level = gauge("level", "0 stable, 1 look, 2 moved", ("kind", "name"))
    compared = [(shift, shift.psi) for shift in drift.shifts if shift.psi is not None]
    gauge("compared", "Quantities that could be compared; 0: too few images").set(len(compared))
    for shift, value in compared:
        of_psi.labels(shift.kind, shift.name).set(value)
        of_level.labels(shift.kind, shift.name).set(_VALUES[shift.level])
    if drift.embedding:
        gauge("mmd2", "Squared maximum mean discrepancy of embeddings").set(drift.embedding.mmd2)
        gauge("mmd_p_value", "Of the permutation test").set(drift.embedding.p_value)
    return generate_latest(registry)


def ordered(shifts: Iterable[Shift]) -> list[Shift]:
    """Return what moved first, what was not compared last."""
    levels = list(_COLOURS)
    return sorted(shifts, key=lambda s: (levels.index(s.level), -(s.psi or 0), s.kind, s.name))


def verdict(drift: Drift) -> str:
    """Return what the comparison says, a sentence."""
    if min(drift.images_before, drift.images_now) < FEWEST:
        return (
            f"Nothing was compared: it takes {FEWEST} images of as many patients on either side, and there "
            f"are {drift.images_before} in the baseline and {drift.images_now} now."
        )
    shifted = [shift.name for shift in ordered(drift.shifts) if shift.level in ("moved", "look")]
    if not shifted:
        return f"None of {len(drift.shifts)} quantities shifted."
    more = " ..." if len(shifted) > 8 else ""
    return f"{len(shifted)} of {len(drift.shifts)} quantities shifted: {', '.join(shifted[:8])}{more}"


def in_both(drift: Drift) -> str:
    """Return what images that are in both sets mean, a sentence."""
    return (
        f"{drift.shared} of the images of now are in the baseline too, which hides a shift: compare later "
        "days, or with an earlier baseline."
    )


def html(drift: Drift) -> str:
    """The comparison as a page."""
    return render(
        "monitor.html",
        warning=PHANTOM_WORDS if PHANTOM_WORDS in drift.baseline + drift.recent else "",
        drift=drift,
        verdict=verdict(drift),
        in_both=in_both(drift),
        shifts=[(shift, _histogram(shift)) for shift in ordered(drift.shifts)],
        kinds=_KINDS,
        colours=_COLOURS,
        look=LOOK,
        moved=MOVED,
        alpha=ALPHA,
    )


def _histogram(shift: Shift) -> dict[str, Any]:
    """Both histograms side by side, in pixels, and the bin that changed most."""
    width, height, top = 26, 44, max(*shift.before, *shift.now, 1e-9)
    bins = list(zip(shift.bins, shift.before, shift.now, strict=True))
    bars = [
        {"side": side, "x": i * width + left, "height": height * share / top, "bin": one}
        for i, one in enumerate(bins)
        for side, left, share in (("then", 1, one[1]), ("now", 12, one[2]))
    ]
    most = max(bins, key=lambda one: abs(one[2] - one[1]))
    return {"width": len(bins) * width, "height": height, "bars": bars, "most": most}
