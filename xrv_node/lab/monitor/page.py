"""A comparison for people (one HTML file without scripts) and for Prometheus (a text file)."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from xrv_node import durable
from xrv_node.lab.monitor.drift import ALPHA, FEWEST, LOOK, MOVED, Drift, Level, Shift
from xrv_node.lab.validate.markup import document, fields, note, number, table
from xrv_node.product import VERSION
from xrv_node.report.summary import COMMISSIONING

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
    warning = f"{COMMISSIONING}: scores are those of untrained networks."
    head = (
        "What",
        "Level",
        "PSI",
        "By chance up to",
        'Shares by bin: <span class="then">before</span>, <span class="now">now</span>',
    )
    return document(
        "xrv-node: drift",
        "Are these images still like the baseline?",
        warning if COMMISSIONING in drift.baseline + drift.recent else "",
        [
            f"<p><b>{escape(verdict(drift))}</b> {_embedding(drift)}</p>",
            fields(
                [
                    ("Baseline", f"{escape(drift.baseline)}: {drift.images_before} images"),
                    ("Now", f"{escape(drift.recent)}: {drift.images_now} images"),
                ]
            ),
            "" if drift.same_models else _OTHER_MODELS,
            f'<p class="look">{escape(in_both(drift))}</p>' if drift.shared else "",
            table(head, map(_row, ordered(drift.shifts))),
            note(
                "PSI is the population stability index over ten bins of all images together (Siddiqi 2006): "
                f"look is a slight shift from {LOOK}, moved a significant one from {MOVED}, and only where "
                "it exceeds what chance gives sets of this size. All quantities together raise a false alarm "
                f"in {ALPHA:.0%} of reports. MMD is the maximum mean discrepancy of the autoencoder's "
                "embeddings (Gretton et al. 2012). Below each picture: the bin that changed most. Absent: "
                "the header has no such field."
            ),
            note(
                "A shift says that images, patients or equipment changed. It does not say that scores are "
                "wrong: look at images, and validate again. Research software, not a medical device. "
                f"xrv-node {VERSION}."
            ),
        ],
    )


_OTHER_MODELS = (
    '<p class="look">The baseline was made by other networks: only header fields are compared. Validate the '
    "present ones and use that baseline.</p>"
)


def _embedding(drift: Drift) -> str:
    found = drift.embedding
    if found is None:
        return ""
    says = "differ from" if found.level == "moved" else "are not told apart from"
    return (
        f"The images as the autoencoder sees them {_coloured(found.level, says)} the baseline "
        f"(MMD² {found.mmd2:.4f}, p = {found.p_value:.3f})."
    )


def _row(shift: Shift) -> tuple[str, ...]:
    return (
        f"{_KINDS[shift.kind]}: {escape(shift.name)}",
        _coloured(shift.level, shift.level),
        number(shift.psi, ".3f"),
        number(shift.chance, ".3f"),
        _bars(shift),
    )


def _coloured(level: Level, words: str) -> str:
    return f'<span class="{_COLOURS[level]}">{words}</span>'


def _bars(shift: Shift) -> str:
    """Both histograms side by side; the bins' names and shares are tooltips, read aloud by screen readers."""
    width, height, top = 26, 44, max(*shift.before, *shift.now, 1e-9)
    parts = [f"<title>{escape(shift.name)}: shares by bin, before and now</title>"]
    for i, (name, before, now) in enumerate(zip(shift.bins, shift.before, shift.now, strict=True)):
        title = f"<title>{escape(name)}: {before:.1%} before, {now:.1%} now</title>"
        for share, left, side in ((before, 1, "then"), (now, 12, "now")):
            tall = height * share / top
            parts.append(
                f'<rect class="{side}" x="{i * width + left}" y="{height - tall:.1f}" width="10" '
                f'height="{tall:.1f}">{title}</rect>'
            )
    most = max(range(len(shift.bins)), key=lambda i: abs(shift.now[i] - shift.before[i]))
    words = f"{escape(shift.bins[most])}: {shift.before[most]:.0%} before, {shift.now[most]:.0%} now"
    svg = f'<svg width="{len(shift.bins) * width}" height="{height}" role="img">{"".join(parts)}</svg>'
    return f"{svg}<br><small>{words}</small>"
