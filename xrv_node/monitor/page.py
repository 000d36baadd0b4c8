"""A comparison for people (one HTML file without scripts) and for Prometheus (a text file)."""

from __future__ import annotations

from html import escape
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from xrv_node import __version__, durable
from xrv_node.monitor.drift import ALPHA, LOOK, MOVED, Drift, Shift

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1b1f24; background: #fff; max-width: 62rem;
  margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .3rem .6rem;
  border-bottom: 1px solid #d8dee4; vertical-align: top } td.n { text-align: right }
.moved { color: #a40e26; font-weight: 600 } .look { color: #8a4600; font-weight: 600 }
.stable { color: #1a6b34 }
svg { display: block } .note { color: #57606a } h1 { font-size: 1.5rem } h2 { font-size: 1.15rem }
"""

_LEVELS = {"stable": 0, "too few": 0, "look": 1, "moved": 2}

_KINDS = {
    "score": "Score",
    "reconstruction": "Reconstruction error",
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
    return list(files)


def metrics(drift: Drift) -> bytes:
    """The comparison in Prometheus' text format; labels are kinds and names of quantities only."""
    registry = CollectorRegistry()

    def gauge(name: str, meaning: str, labels: tuple[str, ...] = ()) -> Gauge:
        return Gauge(f"xrv_node_drift_{name}", meaning, labels, registry=registry)

    gauge("images", "Recent images that were compared").set(drift.images_now)
    gauge("same_models", "Whether the baseline is of the same networks").set(drift.same_models)
    of_psi = gauge("psi", "Population stability index", ("kind", "name"))
    of_level = gauge("level", "0 stable or too few, 1 look, 2 moved", ("kind", "name"))
    for shift in drift.shifts:
        if shift.psi is not None:
            of_psi.labels(shift.kind, shift.name).set(shift.psi)
        of_level.labels(shift.kind, shift.name).set(_LEVELS[shift.level])
    if drift.embedding:
        gauge("mmd2", "Squared maximum mean discrepancy of embeddings").set(drift.embedding.mmd2)
        gauge("mmd_p_value", "Of the permutation test").set(drift.embedding.p_value)
    return generate_latest(registry)


def html(drift: Drift) -> str:
    """The comparison as a page."""
    moved = [shift for shift in drift.shifts if shift.level in ("moved", "look")]
    verdict = (
        f"{len(moved)} of {len(drift.shifts)} quantities shifted: "
        + ", ".join(shift.name for shift in moved[:8])
        + (" ..." if len(moved) > 8 else "")
        if moved
        else f"None of {len(drift.shifts)} quantities shifted."
    )
    rows = "\n".join(_row(shift) for shift in drift.shifts)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>xrv-node: drift</title><style>{_STYLE}</style></head><body>
<h1>Are these images still like the baseline?</h1>
<p><b>{escape(verdict)}</b> {_embedding(drift)}</p>
<p>Baseline: {escape(drift.baseline)}, {drift.images_before} images. Now: {escape(drift.recent)},
{drift.images_now} images.</p>
{"" if drift.same_models else _OTHER_MODELS}
<table><thead><tr><th>What</th><th>Level</th><th>PSI</th><th>By chance</th>
<th>Shares (grey: baseline, blue: now)</th></tr></thead><tbody>
{rows}
</tbody></table>
<p class="note">PSI is the population stability index over ten bins of the baseline; it counts as a slight
shift from {LOOK} and as a significant one from {MOVED}, and only where it exceeds what {1 - ALPHA:.0%} of
samples of this size differ by chance. A shift says that images, patients or equipment changed. It does not
say that scores are wrong: look at images, and validate again. Research software, not a medical device.
xrv-node {__version__}.</p>
</body></html>
"""


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
        f'The images as the autoencoder sees them <span class="{found.level}">{says}</span> the baseline '
        f"(MMD² {found.mmd2:.4f}, p = {found.p_value:.3f})."
    )


def _row(shift: Shift) -> str:
    return (
        f"<tr><td>{_KINDS[shift.kind]}: {escape(shift.name)}</td>"
        f'<td class="{shift.level}">{shift.level}</td><td class="n">{_figure(shift.psi)}</td>'
        f'<td class="n">{_figure(shift.chance)}</td><td>{_bars(shift)}</td></tr>'
    )


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _bars(shift: Shift) -> str:
    """Both histograms side by side; the bins' names and shares are tooltips, read aloud by screen readers."""
    width, height, top = 26, 44, max(*shift.before, *shift.now, 1e-9)
    parts = []
    for i, (name, before, now) in enumerate(zip(shift.bins, shift.before, shift.now, strict=True)):
        title = f"<title>{escape(name)}: {before:.1%} then, {now:.1%} now</title>"
        for share, left, colour in ((before, 1, "#8c959f"), (now, 12, "#0969da")):
            tall = height * share / top
            parts.append(
                f'<rect x="{i * width + left}" y="{height - tall:.1f}" width="10" height="{tall:.1f}" '
                f'fill="{colour}">{title}</rect>'
            )
    return f'<svg width="{len(shift.bins) * width}" height="{height}" role="img">{"".join(parts)}</svg>'
