"""``audit``: read, check and export the trail."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer

from xrv_node.cli.console import (
    ConfigOption,
    JsonOption,
    in_zone,
    opened,
    print_csv,
    print_json,
    print_json_line,
    print_table,
    say,
    tell,
)
from xrv_node.cli.words import one_of

app = typer.Typer(help="Read, verify and export the audit trail.", no_args_is_help=True)


_COLUMNS = ("id", "at", "event", "study", "instance", "detail", "hash")


class Format(StrEnum):
    """How the trail is exported."""

    jsonl = "jsonl"
    csv = "csv"
    atna = "atna"


@app.command("list")
def list_(
    config: ConfigOption = None,
    study: Annotated[str | None, typer.Option(help="Only this Study Instance UID.")] = None,
    event: Annotated[str | None, typer.Option(help="Only this event, e.g. instance.received.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many of the newest.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """The newest events, oldest of them first."""
    from xrv_node import reasons
    from xrv_node.db import queries
    from xrv_node.db.event_names import EVENTS

    with opened(config) as store, store.read() as db:
        one_of("--event", event, EVENTS.keys() | queries.event_names(db))
        queries.require_events(db, study)
        rows = [reasons.revived(row) for row in queries.events(db, study=study, event=event, limit=limit)]
    if as_json:
        print_json(rows)
    else:
        print_table(map(in_zone, rows), ["id", "at", "event", "study", "instance", "detail"])


@app.command()
def show(
    study: Annotated[str, typer.Option(help="Its Study Instance UID.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """All that happened to a study: who sent it, what was done by which models, what went where, and who
    changed something."""
    from xrv_node.audit.timeline import timeline

    with opened(config) as store, store.read() as db:
        rows = timeline(db, study)
    if as_json:
        print_json(rows)
    else:
        print_table(map(in_zone, rows), ["at", "says", "instance", "by"])


@app.command()
def verify(
    config: ConfigOption = None,
    last: Annotated[
        str | None, typer.Option(help="A hash that was the last one once: the trail must still hold it.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check that no event was changed or removed; exit code 1 when one was."""
    from xrv_node.audit import verify as chain

    with opened(config) as store, store.read() as db:
        found = chain.verify(db, last)
    if as_json:
        print_json(found)
    else:
        (say if found["whole"] else tell)(chain.in_words(found))
    raise typer.Exit(0 if found["whole"] else 1)


@app.command()
def export(
    config: ConfigOption = None,
    format_: Annotated[
        Format,
        typer.Option(
            "--format", help="jsonl: one object a line; atna: one XML message of PS3.15 A.5 a line."
        ),
    ] = Format.jsonl,
    study: Annotated[str | None, typer.Option(help="Only this Study Instance UID.")] = None,
    with_patient: Annotated[
        bool, typer.Option("--with-patient", help="atna: add Patient ID and name, read from the spool.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format jsonl.")] = False,
) -> None:
    """Write the whole trail to standard output."""
    from xrv_node import settings
    from xrv_node.audit import atna
    from xrv_node.db import queries
    from xrv_node.spool import Spool

    with opened(config) as store, store.read() as db:
        queries.require_events(db, study)
        if format_ is Format.atna and not as_json:
            loaded = settings.load(config)
            spool = Spool(loaded.data_dir) if with_patient else None
            events = queries.events(db, study=study)
            for message in atna.messages(db, loaded, events, patients_from=spool):
                say(message.xml)
            return
        rows = queries.events(db, study=study)
        if format_ is Format.csv and not as_json:
            print_csv([_COLUMNS])
            print_csv([*list(row.values())[:5], json.dumps(row["detail"]), row["hash"]] for row in rows)
        else:
            for row in rows:
                print_json_line(row)
