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
    print_table(rows, ["name", "short", "role", "here", "licence", "trained on"])


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
        entries = catalog.entries()
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
            file.unlink()  # a pickle has no business here once its tensors are out
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
