"""``phantom``: radiographs of nobody, with known truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from xrv_node.cli.console import say, tell

app = typer.Typer(help="Make digital chest phantoms with known truth, and show it.")

SeedOption = Annotated[int | None, typer.Option(min=0, help="Decides who is shown and how.")]
ViewOption = Annotated[str, typer.Option(help="PA, AP (lying) or LATERAL.")]
FindingsOption = Annotated[
    str, typer.Option(help="Findings, with commas between; 'any': drawn by the seed; empty: none.")
]
RowsOption = Annotated[int, typer.Option(help="Height in pixels.")]
AnatomyOption = Annotated[str, typer.Option(help="a, or b: another person, whom training has not seen.")]


def _about(wanted: bool) -> None:
    if wanted:
        from xrv_node.phantom.about import ABOUT

        say(*ABOUT.splitlines())
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    about: Annotated[
        bool, typer.Option("--about", callback=_about, is_eager=True, help="What they are derived from.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        say(*context.get_help().splitlines())
        raise typer.Exit


@app.command()
def make(
    out: Annotated[Path, typer.Argument(help="Folder to write into.")],
    seed: SeedOption = 1,
    count: Annotated[int, typer.Option(min=1, help="How many, each with the next seed.")] = 1,
    view: ViewOption = "PA",
    findings: FindingsOption = "",
    rows: RowsOption = 1024,
    anatomy: AnatomyOption = "a",
    modality: Annotated[str, typer.Option(help="DX or CR.")] = "DX",
    photometric: Annotated[str, typer.Option(help="MONOCHROME1 or MONOCHROME2.")] = "MONOCHROME2",
    bits: Annotated[
        int | None, typer.Option(help="8 to 16.", show_default="12, or what the syntax allows")
    ] = None,
    grey: Annotated[
        str, typer.Option(help="window, full (over all values), lut (a VOI LUT) or none.")
    ] = "window",
    syntax: Annotated[
        str, typer.Option(help="Transfer syntax: explicit, implicit, rle, jpeg, jpeg-ls, j2k ...")
    ] = "explicit",
    sender: Annotated[
        str, typer.Option(help="Whose habits the header follows: plain, bare, wordy, signed, unicode.")
    ] = "plain",
    masks: Annotated[bool, typer.Option(help="Masks of findings and structures as PNG too.")] = True,
) -> None:
    """Write phantoms as DICOM files, and their truth beside them in truth.json."""
    from xrv_node.phantom import truth
    from xrv_node.phantom.objects import Sending

    sending = Sending(modality, photometric, bits, grey, syntax, sender)
    first = 1 if seed is None else seed
    requests = [
        truth.Request(number, view, truth.named(findings, number), rows, anatomy=anatomy)
        for number in range(first, first + count)
    ]
    for path in truth.write(out, requests, sending, masks=masks):
        say(path)
    tell(f"their truth: {out / truth.FILE}")


@app.command()
def show(
    file: Annotated[Path | None, typer.Argument(help="That `phantom make` wrote, with its masks.")] = None,
    seed: SeedOption = None,
    view: ViewOption = "PA",
    findings: FindingsOption = "",
    rows: RowsOption = 1024,
    anatomy: AnatomyOption = "a",
    out: Annotated[Path | None, typer.Option(help="PNG to write.", show_default="named after it")] = None,
) -> None:
    """Write a phantom's picture with its truth drawn into it, as PNG: of a file, or of a seed."""
    from xrv_node.errors import ConfigError
    from xrv_node.phantom import outlines, truth

    if file is not None and seed is None:
        picture, target = outlines.of_file(file), out or file.with_suffix(".png")
    elif file is not None or seed is None:
        raise ConfigError("give a file, or --seed")
    else:
        request = truth.Request(seed, view, truth.named(findings, seed), rows, anatomy=anatomy)
        picture, target = outlines.of_phantom(request.make()), out or Path(f"phantom-{seed}-{view}.png")
    outlines.save(picture, target)
    say(target)
