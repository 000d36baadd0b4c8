"""``models``: which networks there are, and how their weights come to the node."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xrv_node.cli.console import (
    ConfigOption,
    JsonOption,
    download_bar,
    print_json,
    print_table,
    progress_bar,
    say,
    tell,
)
from xrv_node.cli.fit import fit_gate, fit_mismatch
from xrv_node.cli.networks import DirOption, model_directory
from xrv_node.values import PHANTOM_WORDS

if TYPE_CHECKING:
    from xrv_node.models.entry import ModelEntry
    from xrv_node.models.weights import Installed

app = typer.Typer(help="List, get and check the networks' weights.", no_args_is_help=True)

_OWN = "A network of your own"

ForceOption = Annotated[bool, typer.Option(help="Replace weights that were imported from another file.")]


@app.command("list")
def list_(config: ConfigOption = None, directory: DirOption = None, as_json: JsonOption = False) -> None:
    """The networks that the node can run, which of them are here, and how the others are got."""
    from xrv_node.models.listing import listing

    rows = listing(model_directory(directory, config))
    if as_json:
        print_json(rows)
        return
    shown = [
        {**row, "short": ", ".join(row["aliases"]), "trained on": ", ".join(row["training_data"])}
        for row in rows
    ]
    print_table(shown, ["name", "short", "role", "here", "get", "digest", "licence", "trained on", "status"])


@app.command("import")
def import_(
    file: Annotated[
        Path,
        typer.Argument(help="As it was released, as `train` wrote it, or with --like a network of your own."),
    ],
    name: Annotated[
        str | None,
        typer.Option(help="The network, where the file's name does not tell; with --like what to call it."),
    ] = None,
    like: Annotated[
        str | None,
        typer.Option(
            metavar="NETWORK",
            help="Of a network that you fine-tuned with torchxrayvision: from which one.",
            rich_help_panel=_OWN,
        ),
    ] = None,
    findings: Annotated[
        str | None,
        typer.Option(help="What its outputs are, in their order, with commas between.", rich_help_panel=_OWN),
    ] = None,
    thresholds: Annotated[
        str | None,
        typer.Option(
            help="Its operating points: sigmoids in the same order with commas between, or a file with the "
            "table models.thresholds.",
            show_default="those of the file, if any",
            rich_help_panel=_OWN,
        ),
    ] = None,
    force: ForceOption = False,
    config: ConfigOption = None,
    directory: DirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Convert a weights file that is on this machine. Nothing in it is executed."""
    from xrv_node.cli.own_network import import_own
    from xrv_node.models import catalog, importing, trained_here

    place = model_directory(directory, config)
    if like or findings or thresholds:
        entry, record = import_own(file, like, findings, thresholds, place, name, force=force)
    elif (described := trained_here.described(file)) is not None:
        entry = trained_here.entry(described)
        record = importing.import_trained(file, described, place, force=force)
    else:
        entry = catalog.find(name) if name else importing.recognise(file)
        record = importing.import_file(file, entry, place, force=force)
    _announce([(entry, record)], as_json)


@app.command()
def pull(
    names: Annotated[list[str] | None, typer.Argument(help="Networks, by name or short name.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every network of the catalogue.")] = False,
    force: ForceOption = False,
    config: ConfigOption = None,
    directory: DirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Download weights, check and convert them. Without names: those that are configured."""
    from xrv_node import settings
    from xrv_node.models import catalog, download

    place = model_directory(directory, config)
    if all_:
        entries = tuple(entry for entry in catalog.entries() if entry.pullable)
    elif names:
        entries = tuple(catalog.find(name) for name in names)
    else:
        entries = tuple(catalog.find(name) for name in settings.load(config).models.needed)
    records = []
    for entry in entries:
        with download_bar(entry.name, entry.bytes) as progress:
            record = download.pull(entry, place, progress, force=force)
        if record is None:
            tell(f"{entry.name} is here already")
        else:
            records.append((entry, record))
    _announce(records, as_json)


@app.command()
def verify(config: ConfigOption = None, directory: DirOption = None, as_json: JsonOption = False) -> None:
    """Read all weights that are here and compare their digests; exit code 1 when one is not as it was."""
    from xrv_node.errors import WeightsError
    from xrv_node.models import catalog, weights

    place = model_directory(directory, config)
    rows: list[dict[str, Any]] = []
    for entry in catalog.entries(place):
        try:
            if weights.installed(entry, place) is None:
                continue
            record = weights.verify(entry, place)
        except WeightsError as error:
            rows.append({"name": entry.name, "whole": False, "why": str(error)})
        else:
            pinned = "the published digest" if entry.sha256 else "the first import"
            rows.append({"name": entry.name, "whole": True, "trusted_by": pinned, **asdict(record)})
    if as_json:
        print_json(rows)
    else:
        print_table(rows, ["name", "whole", "trusted_by", "source_sha256", "imported_at", "why"])
    raise typer.Exit(0 if all(row["whole"] for row in rows) else 1)


app.command()(fit_gate)
app.command()(fit_mismatch)


@app.command()
def benchmark(
    half: Annotated[
        bool, typer.Option("--half", help="Allow 16-bit arithmetic where it keeps to its tolerance.")
    ] = False,
    batch: Annotated[int, typer.Option(min=1, help="Images that go through a network at a time.")] = 1,
    rounds: Annotated[int, typer.Option(min=1, help="Of which the medians are taken.")] = 5,
    commissioning: Annotated[
        bool, typer.Option("--commissioning", help="Time the networks for phantoms; nothing is kept.")
    ] = False,
    config: ConfigOption = None,
    directory: DirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the fastest way to run each network on this machine that keeps its numbers, for the worker."""
    from xrv_node import settings
    from xrv_node.analyse import benchmark as bench
    from xrv_node.analyse import engine_choice, engines
    from xrv_node.models import load_set, model_dir, phantom_set

    chosen, place = settings.load(config).models, model_directory(directory, config)
    networks = (
        phantom_set(chosen.device) if commissioning else load_set(*chosen.names, place, device=chosen.device)
    )
    if not commissioning:
        model_dir.make_ready(place)
    timings = []
    with progress_bar("measuring") as show:
        for timing in bench.measure(
            networks, bench.phantoms(batch, networks.sizes), half=half, rounds=rounds
        ):
            timings.append(timing)
            show(len(timings), len(bench.CHECKS) * len(engines.available(networks.device)))
    file = None if commissioning else engine_choice.save(timings, place, networks)
    if as_json:
        print_json({"file": file, "engines": [asdict(timing) for timing in timings]})
        return
    columns = ["network", "engine", "ms", "cpu ms", "speed", "difference", "allowed", "chosen"]
    print_table([bench.row(timing) for timing in timings], columns)
    kept = f"{file}. A worker uses it from its next start."
    say(f"nothing kept: {PHANTOM_WORDS}" if file is None else kept)


def _announce(records: list[tuple[ModelEntry, Installed]], as_json: bool) -> None:
    """Print what was imported, and what a user of it must know."""
    from xrv_node.models.listing import row

    if as_json:
        print_json([row(entry, record) for entry, record in records])
        return
    for entry, record in records:
        known = "as published" if entry.sha256 else "not published: trusted and recorded on first use"
        say(f"{entry.name}: {record.path}", f"  SHA-256 of the file {record.source_sha256} ({known})")
        if record.source_dtype:
            say(f"  its numbers were {record.source_dtype}: converted to float32")
        for caution in entry.cautions:
            say(f"  note: {caution}")
