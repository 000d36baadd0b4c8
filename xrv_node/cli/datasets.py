"""``datasets``: which public datasets can be read, and what is in one."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xrv_node.cli.console import JsonOption, print_fields, print_json, print_table, progress_bar, say, tell
from xrv_node.cli.network_documents import VerifiedDataset
from xrv_node.cli.networks import conclude

if TYPE_CHECKING:
    from xrv_node.lab.datasets.table import LabelTable

app = typer.Typer(help="Read, check, show and convert public datasets.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="As `datasets list` names it.")]
FolderArgument = Annotated[Path, typer.Argument(help="Holds the owner's files.")]
PartOption = Annotated[
    str | None, typer.Option(help="Which of its label files, as `datasets list` names them.")
]
ViewOption = Annotated[
    list[str] | None,
    typer.Option(
        "--view", help="Images of this view only; again for more, '*' for all.", show_default="as listed"
    ),
]
UniqueOption = Annotated[
    bool | None,
    typer.Option(
        "--unique-patients/--all-images", help="One image a patient, or all.", show_default="as listed"
    ),
]
CompatibleOption = Annotated[
    bool,
    typer.Option("--xrv-compatible", help="Repeat torchxrayvision's errors, to compare with its numbers."),
]
WorkersOption = Annotated[int, typer.Option(min=1, help="Images that are decoded at the same time.")]


@app.command("list")
def list_(
    name: Annotated[
        str | None, typer.Argument(help="Only this one, with what its folder holds and its labels.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """The datasets, their terms, and where they are obtained."""
    from xrv_node.lab.datasets.catalog import entries, find

    rows = [asdict(entry) for entry in (entries() if name is None else (find(name),))]
    if as_json:
        print_json(rows)
    elif name is not None:
        print_fields(rows[0])
    else:
        print_table(rows, ["name", "title", "rows", "parts", "views", "unique_patients", "terms", "home"])


@app.command()
def stats(
    name: NameArgument,
    folder: FolderArgument,
    part: PartOption = None,
    view: ViewOption = None,
    unique_patients: UniqueOption = None,
    xrv_compatible: CompatibleOption = False,
    as_json: JsonOption = False,
) -> None:
    """Images, patients, views and labels of one dataset. No image is opened."""
    from xrv_node.lab.datasets.load import load
    from xrv_node.lab.datasets.statistics import statistics

    table = load(
        name, folder, part=part, views=view, unique_patients=unique_patients, xrv_compatible=xrv_compatible
    )
    numbers = statistics(table)
    if as_json:
        print_json(numbers)
        return
    labels, notes = numbers.pop("labels"), numbers.pop("notes")
    if numbers["patients"] is None:
        numbers["patients"] = "not published"
    print_fields(numbers)
    for note in notes:
        say(f"note: {note}")
    print_table(
        labels,
        [
            key
            for key in ("label", "present", "absent", "unknown", "prevalence", "mean")
            if any(key in row for row in labels)
        ],
    )


@app.command()
def verify(
    name: NameArgument,
    folder: FolderArgument,
    part: PartOption = None,
    view: ViewOption = None,
    unique_patients: UniqueOption = None,
    ledger: Annotated[
        Path | None, typer.Option(help="Keep what was checked in this file: a second run goes on with it.")
    ] = None,
    workers: WorkersOption = 4,
    as_json: JsonOption = False,
) -> None:
    """Open every image: is it there, whole, of the size its owner says? Exit code 1 where one is not."""
    from xrv_node.lab.datasets.load import load
    from xrv_node.lab.datasets.verify import require_images
    from xrv_node.lab.datasets.verify import verify as run

    table = load(name, folder, part=part, views=view, unique_patients=unique_patients)
    require_images(table)
    with progress_bar("verifying") as progress:
        bad = run(table, ledger=ledger, workers=workers, progress=progress)
    images = int(table.csv["image"].nunique())
    problems = [{"image": one.image, "problem": one.problem} for one in bad]
    if as_json:
        notes = list(table.notes)
        print_json(VerifiedDataset(dataset=table.name, images=images, problems=problems, notes=notes))
    else:
        _tell(table)
        for problem in problems:
            say(f"{problem['image']}: {problem['problem']}")
        say(f"{images - len(bad)} of {images} images are there and whole")
    raise typer.Exit(1 if bad else 0)


@app.command()
def sample(
    name: NameArgument,
    folder: FolderArgument,
    part: PartOption = None,
    view: ViewOption = None,
    unique_patients: UniqueOption = None,
    count: Annotated[int, typer.Option(min=1, max=400, help="How many images.")] = 12,
    with_masks: Annotated[bool, typer.Option("--with-masks", help="Only images with outlines.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of their choice.")] = 0,
    out: Annotated[Path, typer.Option(help="The picture, PNG.")] = Path("sample.png"),
) -> None:
    """Draw some images with their labels and outlines on one sheet."""
    import numpy as np

    from xrv_node.lab.datasets.contact_sheet import sheet
    from xrv_node.lab.datasets.load import load
    from xrv_node.lab.datasets.verify import require_images
    from xrv_node.lab.images.drawing import save

    table = load(name, folder, part=part, views=view, unique_patients=unique_patients)
    require_images(table)
    _tell(table)
    if with_masks:
        table = table.take(np.flatnonzero(table.csv["has_masks"]))
    save(out, sheet(table, count=count, seed=seed))
    say(out)


@app.command("to-dicom")
def to_dicom(
    name: NameArgument,
    folder: FolderArgument,
    out: Annotated[Path, typer.Option(help="Where the objects and labels.csv go.")],
    part: PartOption = None,
    view: ViewOption = None,
    unique_patients: UniqueOption = None,
    limit: Annotated[int | None, typer.Option(min=1, help="The first so many images only.")] = None,
    workers: WorkersOption = 4,
) -> None:
    """Write the images as DICOM objects, and their labels in a table beside them."""
    from xrv_node.lab.datasets.dicom_folder import export
    from xrv_node.lab.datasets.load import load
    from xrv_node.lab.datasets.verify import require_images

    table = load(name, folder, part=part, views=view, unique_patients=unique_patients)
    require_images(table)
    _tell(table)
    if limit is not None:
        table = table.take(range(min(limit, len(table))))
    with progress_bar("converting") as progress:
        count, unread = export(table, out, workers=workers, progress=progress)
    say(f"{count} objects and labels.csv in {out}")
    conclude(count, unread)


def _tell(table: LabelTable) -> None:
    """Print what was passed over, missing or unknown in the owner's files."""
    for note in table.notes:
        tell(f"note: {note}")
