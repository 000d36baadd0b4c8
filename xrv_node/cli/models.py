"""``models``: which networks there are, and how their weights come to the node."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xrv_node.cli.console import ConfigOption, JsonOption, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xrv_node.models.catalog import Entry
    from xrv_node.models.download import Progress
    from xrv_node.models.weights import Installed

app = typer.Typer(help="List, get and check the networks' weights.", no_args_is_help=True)

DirOption = Annotated[
    Path | None, typer.Option("--dir", help="The model directory. [default: the configured one]")
]
ForceOption = Annotated[bool, typer.Option(help="Replace weights that were imported from another file.")]


def _directory(directory: Path | None, config: Path | None) -> Path:
    from xrv_node import settings

    return directory or settings.load(config).models_dir


def _row(entry: Entry, record: Installed | None) -> dict[str, Any]:
    """One line of a table, one object of the JSON."""
    return {
        "name": entry.name,
        "role": entry.role,
        "aliases": entry.aliases,
        "licence": entry.licence,
        "labels": [label for label, _ in entry.trained_heads],
        "training_data": entry.training_data,
        "cautions": entry.cautions,
        "status": entry.status,
        "source": entry.url,
        "file": entry.file,
        "sha256": entry.sha256,
        "bytes": entry.bytes,
        "weights": record and {key: value for key, value in asdict(record).items() if key != "name"},
    }


@app.command("list")
def list_(config: ConfigOption = None, directory: DirOption = None, as_json: JsonOption = False) -> None:
    """The networks that the node can run, and which of them are here."""
    from xrv_node.errors import WeightsError
    from xrv_node.models import catalog, weights

    place = _directory(directory, config)
    rows = []
    for entry in catalog.entries():
        try:
            record = weights.installed(entry, place)
        except WeightsError as error:
            rows.append({**_row(entry, None), "here": "damaged", "damage": str(error)})
        else:
            rows.append(
                {**_row(entry, record), "here": f"since {record.imported_at[:10]}" if record else "no"}
            )
    if as_json:
        print_json(rows)
        return
    for row in rows:
        row["short"] = ", ".join(row["aliases"])
        row["trained on"] = ", ".join(row["training_data"])
    print_table(rows, ["name", "short", "role", "here", "licence", "trained on", "status"])


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="The file as it was released.")],
    name: Annotated[
        str | None, typer.Option(help="The network, where the file's name does not tell.")
    ] = None,
    force: ForceOption = False,
    config: ConfigOption = None,
    directory: DirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Convert a weights file that is on this machine. Nothing in it is executed."""
    from xrv_node.models import catalog, weights

    entry = catalog.find(name) if name else weights.recognise(file)
    record = weights.import_file(file, entry, _directory(directory, config), force=force)
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
    from xrv_node.models import catalog, download, weights

    place = _directory(directory, config)
    if all_:
        entries = tuple(entry for entry in catalog.entries() if entry.pullable)
    elif names:
        entries = tuple(catalog.find(name) for name in names)
    else:
        chosen = settings.load(config).models
        entries = tuple(catalog.find(n) for n in (chosen.classifier, chosen.segmenter, chosen.autoencoder))
    records = []
    for entry in entries:
        if not force and weights.installed(entry, place) is not None:
            print(f"{entry.name} is here already", file=sys.stderr)
            continue
        with _progress_bar(entry) as progress:
            file = download.fetch(entry, place / "downloads", progress)
        try:
            records.append((entry, weights.import_file(file, entry, place, force=force)))
        finally:
            for path in (file, download.settings_file(file)):
                path.unlink(missing_ok=True)  # a pickle has no business here once its tensors are out
    _announce(records, as_json)


@app.command()
def verify(config: ConfigOption = None, directory: DirOption = None, as_json: JsonOption = False) -> None:
    """Read all weights that are here and compare their digests; exit code 1 when one is not as it was."""
    from xrv_node.errors import WeightsError
    from xrv_node.models import catalog, weights

    place = _directory(directory, config)
    rows = []
    for entry in catalog.entries():
        if not entry.weights_path(place).is_file():
            continue
        try:
            record = weights.verify(entry, place)
        except WeightsError as error:
            rows.append({"name": entry.name, "whole": False, "why": str(error)})
        else:
            pinned = "the published digest" if entry.sha256 else "the first import"
            rows.append({"name": entry.name, "whole": True, "trusted by": pinned, **asdict(record)})
    if as_json:
        print_json(rows)
    else:
        print_table(rows, ["name", "whole", "trusted by", "source_sha256", "imported_at", "why"])
    raise typer.Exit(0 if all(row["whole"] for row in rows) else 1)


@app.command("fit-gate")
def fit_gate(
    folder: Annotated[Path, typer.Argument(help="Adult, frontal chest radiographs of this site.")],
    quantile: Annotated[float, typer.Option(help="The part of such images that passes each limit.")] = 0.99,
    config: ConfigOption = None,
    directory: DirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fit the limits beyond which an image is too unlike the site's own to be answered."""
    from statistics import median

    from xrv_node import settings
    from xrv_node.analyse import fitting, gate
    from xrv_node.cli.networks import progress_bar
    from xrv_node.images.files import listed
    from xrv_node.models import load_set

    chosen, place = settings.load(config).models, _directory(directory, config)
    networks = load_set(*chosen.names, place, device=chosen.device)
    sources, missing = listed(folder)
    with progress_bar("reconstructing") as show:
        fitted = fitting.fit(networks, sources, quantile, show)
    file = gate.save(fitted.limits, place, networks.identity)
    left_out = [*missing, *fitted.left_out]
    if as_json:
        report = asdict(fitted.limits) | {"file": file, "left_out": [asdict(u) for u in left_out]}
        print_json(report)
        return
    for unread in left_out:
        print(f"{unread.path}: left out: {unread.why}", file=sys.stderr)
    limits = fitted.limits
    columns = ["measure", "median", "limit"]
    rows = [
        ("reconstruction error", f"{median(fitted.errors):.1f}", f"at most {limits.error:.1f}"),
        ("structural similarity", f"{median(fitted.similarities):.3f}", f"at least {limits.ssim:.3f}"),
    ]
    print_table([dict(zip(columns, row, strict=True)) for row in rows], columns)
    print(f"fitted on {limits.images} images: {file}. A worker uses it from its next start.")


@app.command()
def benchmark(
    half: Annotated[
        bool, typer.Option("--bf16", help="Allow bfloat16 where it keeps to its tolerance.")
    ] = False,
    batch: Annotated[int, typer.Option(min=1, help="Images that go through a network at a time.")] = 1,
    rounds: Annotated[int, typer.Option(min=1, help="Of which the medians are taken.")] = 5,
    commissioning: Annotated[
        bool, typer.Option("--commissioning", help="Time untrained networks; nothing is kept.")
    ] = False,
    config: ConfigOption = None,
    directory: DirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the fastest way to run each network on this machine that keeps its numbers, for the worker."""
    from xrv_node import settings
    from xrv_node.analyse import benchmark as bench
    from xrv_node.analyse.engines import ENGINES
    from xrv_node.cli.networks import progress_bar
    from xrv_node.models import load_set

    chosen, place = settings.load(config).models, _directory(directory, config)
    networks = load_set(*chosen.names, place, commissioning=commissioning, device=chosen.device)
    timings = []
    with progress_bar("measuring") as show:
        for timing in bench.measure(networks, bench.phantoms(batch), half=half, rounds=rounds):
            timings.append(timing)
            show(len(timings), len(bench.CHECKS) * len(ENGINES))
    file = None if commissioning else bench.save(timings, place, networks)
    if as_json:
        print_json({"file": file, "engines": [asdict(timing) for timing in timings]})
        return
    columns = ["network", "engine", "ms", "cpu ms", "speed", "difference", "allowed", "chosen"]
    print_table([bench.row(timing) for timing in timings], columns)
    kept = f"{file}. A worker uses it from its next start."
    print("nothing kept: untrained networks" if file is None else kept)


def _announce(records: list[tuple[Entry, Installed]], as_json: bool) -> None:
    """Print what was imported, and what a user of it must know."""
    if as_json:
        print_json([_row(entry, record) for entry, record in records])
        return
    for entry, record in records:
        known = "as published" if entry.sha256 else "not published: trusted and recorded on first use"
        print(f"{entry.name}: {record.path}\n  SHA-256 of the file {record.source_sha256} ({known})")
        for caution in entry.cautions:
            print(f"  note: {caution}")


@contextmanager
def _progress_bar(entry: Entry) -> Iterator[Progress]:
    """A bar on standard error, where that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn(entry.name), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(entry.name, total=entry.bytes)
        yield lambda received, total: bar.update(task, completed=received, total=total)
