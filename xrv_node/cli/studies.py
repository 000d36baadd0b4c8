"""``studies``: what came, what was made of it, and where that went."""

from __future__ import annotations

from typing import Annotated

import typer

from xrv_node.cli.console import (
    ConfigOption,
    JsonOption,
    opened,
    print_fields,
    print_json,
    print_table,
)

app = typer.Typer(help="Look at studies.", no_args_is_help=True)


@app.command("list")
def list_(
    config: ConfigOption = None,
    state: Annotated[str | None, typer.Option(help="open, closed, reported or failed.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """The studies, newest first."""
    from xrv_node.audit import queries

    with opened(config) as store, store.read() as db:
        rows = queries.studies(db, state=state, limit=limit)
    if as_json:
        print_json(rows)
    else:
        print_table(rows, ["study", "state", "revision", "instances", "deliveries", "received_at"])


@app.command()
def show(study_instance_uid: str, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """One study: each object's verdict and scores, each result and its deliveries."""
    from xrv_node.audit import queries

    with opened(config) as store, store.read() as db:
        row = queries.study(db, study_instance_uid)
    if as_json:
        print_json(row)
    else:
        print_fields(row)
