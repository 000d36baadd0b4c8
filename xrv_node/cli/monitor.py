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
    from xrv_node.lab.monitor.shadow import Disagreement, FindingAgreement

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


@app.command()
def shadow(
    days: DaysOption = 30,
    weights: Annotated[str, typer.Option(help="The shadow, by its name; empty: as configured.")] = "",
    cases: Annotated[int, typer.Option(min=0, help="How many disagreements to name.")] = 20,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare what a second classifier says of the same images with what was reported."""
    from xrv_node import settings
    from xrv_node.lab.monitor import shadow as second
    from xrv_node.models import catalog

    now, chosen = datetime.now(UTC), settings.load(config)
    asked = weights or chosen.models.shadow.classifier
    name = catalog.find(asked, "classifier", chosen.models_dir).name if asked else None
    with opened(config) as store:
        found = second.compare(second.answers(store, name, now - timedelta(days=days), now), cases)
    if as_json:
        print_json(asdict(found))
        return
    say(
        f"{found.images} images of {found.patients} patients: {found.first}, and {found.second} in its shadow"
    )
    if found.without_answer:
        say(f"{found.without_answer} more have no answer of {found.second}")
    if found.findings:
        print_table([_finding_row(one) for one in found.findings], list(_finding_row(found.findings[0])))
    for one, knows in ((found.first, found.only_first_knows), (found.second, found.only_second_knows)):
        if knows:
            say(f"only {one} knows: {', '.join(knows)}")
    if found.cases:
        print_table([_case_row(one) for one in found.cases], list(_case_row(found.cases[0])))


def _finding_row(one: FindingAgreement) -> dict[str, object]:
    part = one.agreement
    apart = f"{one.difference:+.2f} ({one.difference_low:+.2f} to {one.difference_high:+.2f})"
    ends = "" if part.low is None or part.high is None else f" ({part.low:.2f} to {part.high:.2f})"
    return {
        "finding": one.finding,
        "images": one.images,
        "both": one.both,
        "only first": one.only_first,
        "only second": one.only_second,
        "agreement": "-" if part.value is None else f"{part.value:.2f}{ends}",
        "difference": apart,
    }


def _case_row(one: Disagreement) -> dict[str, object]:
    return {
        "study": one.study,
        "instance": one.instance,
        "finding": one.finding,
        "first": f"{one.first:.2f}",
        "second": f"{one.second:.2f}",
        "called": "otherwise" if one.called_otherwise else "alike",
    }


def _recent(config: Path | None, days: float, model_set: str | None) -> Sample:
    from xrv_node import settings
    from xrv_node.lab.monitor.recent_images import recent
    from xrv_node.spool import Spool

    now = datetime.now(UTC)
    with opened(config) as store:
        spool = Spool(settings.load(config).data_dir)
        return recent(store, spool, now - timedelta(days=days), now, model_set)
