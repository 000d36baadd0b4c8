"""``monitor``: whether the images of these days are still like those that the models were validated on."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xrv_node.cli.console import ConfigOption, JsonOption, opened, print_json, print_table

if TYPE_CHECKING:
    from xrv_node.monitor.sample import Sample

app = typer.Typer(help="Watch for drift of images, patients and equipment.", no_args_is_help=True)

DaysOption = Annotated[float, typer.Option(min=0.01, help="Of what was received in so many days.")]


@app.command()
def baseline(
    out: Annotated[Path, typer.Argument(help="The file to write, e.g. baseline.npz.")],
    days: DaysOption = 30,
    config: ConfigOption = None,
) -> None:
    """Keep what the node received lately as a baseline, where no validation run has written one."""
    from xrv_node.monitor.sample import save

    sample = _recent(config, days, None)
    save(sample, out)
    print(f"{out}: {len(sample)} images, {sample.what}")


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
    from xrv_node.monitor import page
    from xrv_node.monitor.drift import compare
    from xrv_node.monitor.sample import load

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
    rows = [
        {"what": f"{s.kind} {s.name}", "level": s.level, "psi": None if s.psi is None else f"{s.psi:.3f}"}
        for s in drift.shifts
    ]
    print_table(rows, ["what", "level", "psi"])
    if drift.embedding:
        print(f"embeddings: {drift.embedding.level}, p = {drift.embedding.p_value:.3f}")
    if not drift.same_models:
        print("the baseline was made by other networks: only header fields were compared")
    print(f"{drift.images_now} images now, {drift.images_before} before; see {written[0]}")


def _recent(config: Path | None, days: float, model_set: str | None) -> Sample:
    from xrv_node import settings
    from xrv_node.monitor.recent import recent
    from xrv_node.receive.spool import Spool

    now = datetime.now(UTC)
    with opened(config) as store:
        spool = Spool(settings.load(config).data_dir)
        return recent(store, spool, now - timedelta(days=days), now, model_set)
