"""``demo``: the whole way, without setup: a node's acceptance in short, or the user's own files."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xrv_node.cli.acceptance import show
from xrv_node.cli.console import JsonOption, print_json, print_table, say, status_line, terminal_width
from xrv_node.values import PHANTOM_WORDS

if TYPE_CHECKING:
    from xrv_node.demo import Shown


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
    """Run a node and an archive, send phantoms, and show what comes back: `acceptance --short`.

    Exit code 1 where the node is not accepted, or a file was not taken.
    """
    from xrv_node import demo as demonstration

    directory = keep or Path("demo-results") / datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    with status_line("starting") as told:
        outcome = demonstration.run(directory.resolve(), images or [], say=told)
    if as_json:
        print_json(_plain(outcome))
    else:
        _show(outcome)
        if outcome.page and _has_display():
            typer.launch(str(outcome.page))
    raise typer.Exit(1 if outcome.refused or (outcome.protocol and not outcome.protocol.good) else 0)


def _plain(outcome: Shown) -> dict[str, Any]:
    from dataclasses import replace

    from xrv_node.acceptance.protocol import plain

    told = asdict(replace(outcome, protocol=None))
    return told | {"protocol": plain(outcome.protocol) if outcome.protocol else None}


def _has_display() -> bool:
    """Whether there is a screen on which somebody waits."""
    return terminal_width() is not None and bool(
        sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )


def _show(outcome: Shown) -> None:
    for study, report in outcome.reports.items():
        say(f"study {study}", f"  {report.headline}", f"  report: {report.path}")
    analysed = [i for i in outcome.images if i.findings]
    if outcome.protocol:
        show(outcome.protocol)
    else:
        _scores(outcome)
    for number, image in enumerate(analysed, 1):
        say(f"picture {number}: {image.overlay}")
    say(f"objects:   {outcome.directory / 'archive'} ({len(outcome.objects)} files)")
    if outcome.page:
        say(f"protocol:  {outcome.page}")
    if analysed:
        options = "--commissioning " if outcome.commissioning else ""
        say(f"pages:     `xrv-node serve {options}--config {outcome.config}`, then")
        say(f"           {outcome.address}/studies/{analysed[0].study}")
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
        say(f"{PHANTOM_WORDS}: no weights for patients are installed.")
    say("Research software, not a medical device.")


def _scores(outcome: Shown) -> None:
    """The scores of each image, side by side."""
    analysed = [i for i in outcome.images if i.findings]
    labels = {f.label for i in analysed for f in i.findings}
    heads = [f"{n} {i.view or 'view unknown'}" for n, i in enumerate(analysed, 1)]
    scores = [{f.label: f for f in i.findings} for i in analysed]
    say("", "scores in the reports that came back, in % (50 is the operating point, * at or over it):")
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
