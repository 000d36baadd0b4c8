"""``statistics``: what a node has done, counted."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, get_type_hints

import typer

from xrv_node.cli.console import ConfigOption, JsonOption, opened, print_json, print_table, say
from xrv_node.cli.studies import DAY


def statistics(
    config: ConfigOption = None,
    since: Annotated[
        datetime | None,
        typer.Option(formats=[DAY], help="From that day on.", show_default="30 days ago"),
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=[DAY], help="Up to and with that day.", show_default="today")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="CSV of what readers say: a row a study, a column StudyInstanceUID or AccessionNumber, and "
            "a column a finding with 0, 1 or nothing."
        ),
    ] = None,
    page: Annotated[Path | None, typer.Option(help="Write one page (HTML) to this file.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write a CSV file a table into this folder.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Studies, turnaround, findings, refusals and what was kept back, of a span of days.

    Days are of this machine's time zone. No patient is named.
    """
    from xrv_node import settings
    from xrv_node.report import codes
    from xrv_node.spool import Spool
    from xrv_node.statistics import output, readers
    from xrv_node.statistics.collect import collect
    from xrv_node.statistics.rows import TABLES, TITLES
    from xrv_node.statistics.span import of_days

    loaded = settings.load(config)
    begin, end = of_days(since, until)
    told = None if labels is None else readers.read(labels, codes.findings())
    with opened(config) as store, store.read() as db:
        found = collect(db, Spool(loaded.data_dir), loaded.node.name, begin, end)
        if told is not None:
            beside, missing = readers.compare(db, told, loaded.data_dir, begin, end)
            found = {**found, "agreement": beside, "labels_without_study": missing}
    if page is not None:
        output.write_page(found, page)
    if csv is not None:
        output.write_csv(found, csv)
    if as_json:
        print_json(found)
        return
    say(f"{found['node']}: {found['studies']} studies, {found['images']} images from {begin:%Y-%m-%d}")
    for key, row in TABLES.items():
        if rows := output.table(found, key):
            say("", TITLES[key])
            print_table(rows, list(get_type_hints(row)))
    if missing := found["labels_without_study"]:
        say("", f"{missing} rows of {labels} name a study of which nothing was reported in these days")
