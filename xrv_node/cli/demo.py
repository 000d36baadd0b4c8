"""``demo``: the whole way on sample images, without setup."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xrv_node.cli.console import JsonOption, print_json, print_table, say

if TYPE_CHECKING:
    from xrv_node.demo import Outcome


def demo(
    images: Annotated[
        list[Path] | None,
        typer.Option("--images", help="Your own PNG, JPEG or DICOM files or folders."),
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option("--keep", help="Where to write.", show_default="./demo-results/<date and time>"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run a node and an archive, send studies, and show what comes back."""
    from rich.console import Console

    from xrv_node import demo as demonstration

    directory = keep or Path("demo-results") / datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    with Console(stderr=True).status("starting") as status:
        outcome = demonstration.run(directory.resolve(), images or [], say=status.update)
    if as_json:
        print_json(asdict(outcome))
    else:
        _show(outcome)
    raise typer.Exit(1 if outcome.refused else 0)


def _show(outcome: Outcome) -> None:
    for study, report in outcome.reports.items():
        say(f"study {study}\n  {report.headline}\n  report: {report.path}")
    analysed = [i for i in outcome.images if i.findings]
    labels = {f.label for i in analysed for f in i.findings}
    heads = [f"{n} {i.view or 'view unknown'}" for n, i in enumerate(analysed, 1)]
    scores = [{f.label: f for f in i.findings} for i in analysed]
    say("\nscores in the reports that came back, in % (50 is the operating point, * at or over it):")
    print_table(
        (
            {"finding": label}
            | {
                head: f"{100 * found[label].score:5.1f}{'*' if found[label].present else ' '}"
                for head, found in zip(heads, scores, strict=True)
                if label in found
            }
            for label in sorted(labels)
        ),
        ["finding", *heads],
    )
    for number, image in enumerate(analysed, 1):
        say(f"picture {number}: {image.overlay}")
    say(f"objects:   {outcome.directory / 'archive'} ({len(outcome.objects)} files)")
    skipped = [i for i in outcome.images if not i.findings]
    why = "; ".join(f"{i.view or i.verdict}: {i.why}" for i in skipped)
    say(
        f"sent {outcome.sent} images, analysed {len(analysed)}, skipped {len(skipped)}"
        + (f" ({why})" if why else "")
        + f", in {outcome.seconds:.0f} s"
    )
    for line in outcome.refused:
        say(f"not sent: {line}")
    if outcome.commissioning:
        say("COMMISSIONING - NOT A RESULT: no weights are installed, the networks are untrained.")
    say("Research software, not a medical device.")
