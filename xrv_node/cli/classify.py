"""``classify``: findings of local images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xrv_node.cli.console import print_csv, print_json, progress_bar, say, terminal_width
from xrv_node.cli.network_documents import Classifications
from xrv_node.cli.networks import (
    CompatibleOption,
    PathsArgument,
    Run,
    RunCodeOption,
    conclude,
    runs_network,
    sorted_out,
)

if TYPE_CHECKING:
    from xrv_node.lab.images.classify import Classified
    from xrv_node.lab.images.files import Unread


class Format(StrEnum):
    """How scores are printed."""

    table = "table"
    json = "json"
    csv = "csv"


@runs_network(weights="densenet121-res224-all")
def classify(
    run: Run,
    paths: PathsArgument,
    threshold: Annotated[
        float | None, typer.Option(help="Score in [0, 1] from which a finding counts as present.")
    ] = None,
    operating_point: Annotated[
        str | None, typer.Option(help="youden (score 0.5, the default) or ppv80 (precision 0.8).")
    ] = None,
    format_: Annotated[Format, typer.Option("--format", help="csv: one line a file.")] = Format.table,
    run_code: RunCodeOption = False,
    xrv_compatible: CompatibleOption = False,
) -> None:
    """Score local images, also in folders below; exit code 1 when a file cannot be read."""
    from xrv_node.lab.images import classify as images

    results: list[Classified] = []
    passed_over: list[Path] = []
    with progress_bar("classifying") as progress:
        items = images.classify(
            paths,
            run.weights,
            threshold=threshold,
            operating_point=operating_point,
            thresholds=run.thresholds,
            xrv_compatible=xrv_compatible,
            run_code=run_code,
            **run.options(progress, passed_over),
        )
        count, unread = sorted_out(items, results.append)
    _PRINT[format_](results, unread)
    conclude(count, unread, passed_over)


def _json(results: Sequence[Classified], unread: Sequence[Unread]) -> None:
    first = results[0] if results else None
    told: Classifications = {
        "notice": first.by.notice if first else "",
        "model": asdict(first.by.model) if first else None,
        "resampler": first.by.resampler if first else None,
        "rule": first.rule if first else None,
        "images": [
            {
                "file": str(r.path),
                "scores": dict(r.scores),
                "sigmoids": dict(r.sigmoids),
                "present": r.present,
                "note": r.note,
            }
            for r in results
        ],
        "failed": [{"file": str(file.path), "why": file.why} for file in unread],
    }
    print_json(told)


def _csv(results: Sequence[Classified], _: Sequence[Unread]) -> None:
    if results:
        print_csv([["file", *results[0].scores, "present", "note", "notice"]])
    for r in results:
        scores = (f"{score:.6f}" for score in r.scores.values())
        print_csv([[str(r.path), *scores, ";".join(r.present), r.note, r.by.notice]])


def _table(results: Sequence[Classified], _: Sequence[Unread]) -> None:
    if not results:
        return
    first, labels = results[0], list(results[0].scores)
    files = [str(r.path) for r in results]
    cells = [[f"{r.scores[n]:.3f}" + ("*" if n in r.present else " ") for n in labels] for r in results]
    widths = [max(len(label), *(len(row[n]) for row in cells)) for n, label in enumerate(labels)]
    widest, room = max(len("file"), *map(len, files)), terminal_width()
    if room is not None and widest + sum(widths) + 2 * len(labels) > room:
        for file, row in zip(files, cells, strict=True):
            say(file)
            for label, cell in zip(labels, row, strict=True):
                say(f"  {label:{max(map(len, labels))}}  {cell}")
    else:
        for file, row in zip(["file", *files], [labels, *cells], strict=True):
            line = (f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))
            say(f"{file:{widest}}  {'  '.join(line)}")
    for r in results:
        if r.note:
            say(f"note: {r.path}: {r.note}")
    rule = f"; * {first.rule}" if first.rule else ""
    say(f"{first.by.model.name}; {first.by.resampler}{rule}. Research software, not a medical device.")
    if first.by.notice:
        say(first.by.notice)


_PRINT: dict[Format, Any] = {Format.table: _table, Format.json: _json, Format.csv: _csv}
