"""``monitor``: whether the images of these days are still like those that the models were validated on."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xrv_node.cli.console import ConfigOption, JsonOption, opened, print_json, print_table, say

if TYPE_CHECKING:
    from xrv_node.lab.baseline.sample import Sample

app = typer.Typer(help="Watch for drift of images, patients and equipment.", no_args_is_help=True)

DaysOption = Annotated[float, typer.Option(min=0.01, help="Of what was received in so many days.")]


@app.command()
def baseline(
    out: Annotated[Path, typer.Argument(help="The file to write, e.g. baseline.npz.")],
    days: DaysOption = 30,
    config: ConfigOption = None,
) -> None:
    """Keep what the node received lately as a baseline, where no validation run has written one."""
    from xrv_node.lab.baseline.sample import save
    from xrv_node.lab.monitor.drift import FEWEST

    sample = _recent(config, days, None)
    save(sample, out)
    say(f"{out}: {len(sample)} images of as many patients, {sample.what}")
    if len(sample) < FEWEST:
        say(f"nothing can be compared with it: that takes {FEWEST}; choose a longer time with --days")


@app.command()
def report(
    baseline: Annotated[Path, typer.Option(help="A baseline.npz, of a validation run or of this command.")],
    days: DaysOption = 7,
    out: Annotated[Path, typer.Option(help="Folder for drift.html and drift.prom.")] = Path("drift"),
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare what the node received lately with a baseline."""
    from xrv_node.errors import XrvNodeError
    from xrv_node.lab.baseline.sample import load
    from xrv_node.lab.monitor import page
    from xrv_node.lab.monitor.drift import compare

    before = load(baseline)
    try:
        now = _recent(config, days, before.model_set)
    except XrvNodeError:  # none of the baseline's networks: headers can be compared all the same
        now = _recent(config, days, None)
    drift = compare(before, now)
    written = page.write(drift, out)
    if as_json:
        print_json(asdict(drift))
        return
    compared = [s for s in page.ordered(drift.shifts) if s.psi is not None]
    if compared:
        rows = [{"what": f"{s.kind} {s.name}", "level": s.level, "PSI": f"{s.psi:.3f}"} for s in compared]
        print_table(rows, ["what", "level", "PSI"])
    say(page.verdict(drift))
    if drift.embedding:
        say(f"embeddings: {drift.embedding.level}, p = {drift.embedding.p_value:.3f}")
    if drift.shared:
        say(page.in_both(drift))
    if not drift.same_models:
        say("the baseline was made by other networks: only header fields were compared")
    say(f"baseline: {drift.baseline}, {drift.images_before} images")
    say(f"now: {drift.recent}, {drift.images_now} images")
    for path in written:
        say(path)


def _recent(config: Path | None, days: float, model_set: str | None) -> Sample:
    from xrv_node import settings
    from xrv_node.lab.monitor.recent_images import recent
    from xrv_node.spool import Spool

    now = datetime.now(UTC)
    with opened(config) as store:
        spool = Spool(settings.load(config).data_dir)
        return recent(store, spool, now - timedelta(days=days), now, model_set)
