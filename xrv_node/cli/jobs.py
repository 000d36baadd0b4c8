"""``jobs``: what is queued, running or parked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from xrv_node.cli.console import (
    ConfigOption,
    JsonOption,
    in_zone,
    opened,
    print_fields,
    print_json,
    print_table,
    say,
)
from xrv_node.cli.documents import Cancelled, Retried
from xrv_node.cli.words import one_of

if TYPE_CHECKING:
    from xrv_node.db.rows import JobRow

app = typer.Typer(help="Look at the queue; retry and cancel.", no_args_is_help=True)


@app.command("list")
def list_(
    config: ConfigOption = None,
    state: Annotated[str | None, typer.Option(help="queued, running, done, parked or cancelled.")] = None,
    kind: Annotated[str | None, typer.Option(help="analyse, report or deliver.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """The jobs, newest first."""
    from xrv_node.db import queries
    from xrv_node.db.queue import POLICIES
    from xrv_node.db.tables import JobState

    one_of("--state", state, JobState)
    one_of("--kind", kind, POLICIES)
    with opened(config) as store, store.read() as db:
        rows = queries.jobs(db, state=state, kind=kind, limit=limit)
    if as_json:
        print_json(rows)
    else:
        columns = ["id", "kind", "state", "attempts", "queued", "changed", "next", "destination", "result"]
        print_table(map(_times, rows), [*columns, "study", "instance", "error"])


def _times(row: JobRow) -> dict[str, Any]:
    """The row with its times under the names of a table, where they mean something."""
    waits = row["state"] == "queued"
    times = {"queued": row["created_at"], "changed": row["updated_at"], "next": row["not_before"]}
    return {**row, **times, "next": times["next"] if waits else None}


@app.command()
def show(job_id: int, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """One job, with all that happened to it."""
    from xrv_node.db import queries

    with opened(config) as store, store.read() as db:
        row = queries.job(db, job_id)
    if as_json:
        print_json(row)
    else:
        print_fields({**row, "events": [in_zone(event) for event in row["events"]]})


@app.command()
def retry(
    job_ids: Annotated[list[int] | None, typer.Argument(help="Which.")] = None,
    parked: Annotated[bool, typer.Option("--parked", help="All parked jobs.")] = False,
    waiting: Annotated[bool, typer.Option("--waiting", help="All that wait for their next attempt.")] = False,
    destination: Annotated[
        str | None, typer.Option(help="Of these only deliveries to it; alone: all, parked or waiting.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Queue jobs now that are parked, cancelled or wait for their next attempt."""
    from xrv_node import settings
    from xrv_node.db import progress
    from xrv_node.db.waiting import parked_jobs, paused_jobs

    if destination is not None:
        settings.load(config).destination(destination)  # says what there is instead
        parked, waiting = (True, True) if not parked and not waiting else (parked, waiting)
    with opened(config) as store:
        with store.read() as db:
            chosen = job_ids or []
            chosen += parked_jobs(db, destination) if parked else []
            chosen += paused_jobs(db, destination) if waiting else []
            chosen = list(dict.fromkeys(chosen))
        for job_id in chosen:
            with store.begin() as db:
                progress.retry(db, job_id)
    if as_json:
        print_json(Retried(retried=chosen))
    else:
        say(f"queued again: {', '.join(map(str, chosen)) or 'none'}")


@app.command()
def cancel(
    job_ids: Annotated[list[int] | None, typer.Argument(help="Which.")] = None,
    destination: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="All that wait to be sent to this destination, or are parked; also where it is no longer "
            "configured.",
        ),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give jobs up that are queued or parked; what else there is to do for their studies goes on."""
    from xrv_node.db import progress, waiting

    if bool(job_ids) == (destination is not None):
        raise typer.BadParameter("name jobs, or give --destination NAME")
    with opened(config) as store, store.begin() as db:
        chosen = list(job_ids or []) if destination is None else waiting.to(db, destination)
        for job_id in chosen:
            progress.cancel(db, job_id)
    if as_json:
        print_json(Cancelled(cancelled=chosen))
    else:
        say(f"cancelled: {', '.join(map(str, chosen))}")
