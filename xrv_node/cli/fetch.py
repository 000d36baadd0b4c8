"""``fetch``: studies on request from an archive."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
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
    progress_bar,
    say,
    tell,
)
from xrv_node.cli.words import one_of

if TYPE_CHECKING:
    from xrv_node.db.fetch_rows import FetchRow
    from xrv_node.db.store import Store
    from xrv_node.fetch.keys import Key
    from xrv_node.settings import Settings

DAY, CLOCK, MOMENT = "%Y-%m-%d", "%H:%M", "%Y-%m-%dT%H:%M"


class _ByStudies(typer.core.TyperGroup):
    """Without one of its commands' names, what follows is what is to be fetched."""

    unnamed = "studies"
    """The command that is meant then."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As the base class."""
        if args and args[0] not in {*self.commands, "--help"}:
            args = [self.unnamed, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_ByStudies,
    help="Fetch studies from an archive: `xrv-node fetch STUDY_UID`, or another way to say which.",
    no_args_is_help=True,
)


@app.command()
def studies(
    study_instance_uids: Annotated[list[str] | None, typer.Argument(help="Which.")] = None,
    accession: Annotated[list[str] | None, typer.Option(help="Those of an Accession Number.")] = None,
    patient: Annotated[str | None, typer.Option(help="Those of a Patient ID.")] = None,
    since: Annotated[
        datetime | None, typer.Option("--from", formats=[DAY], help="Of these, of that Study Date or later.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--to", formats=[DAY], help="Of these, of that Study Date or before.")
    ] = None,
    list_: Annotated[
        Path | None,
        typer.Option(
            "--list",
            metavar="FILE",
            help="What stands in a file, one a line: a Study Instance UID or an Accession Number; or a CSV "
            "file with a heading of StudyInstanceUID, AccessionNumber, PatientID, StudyDate.",
        ),
    ] = None,
    archive: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which archive.", show_default="the only one")
    ] = None,
    not_before: Annotated[
        datetime | None,
        typer.Option(
            formats=[CLOCK, MOMENT], help="Begin then, in this machine's time zone.", show_default="now"
        ),
    ] = None,
    all_series: Annotated[
        bool, typer.Option("--all-series", help="Also what is never analysed, by modality or SOP class.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be fetched.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until all is here.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch studies from an archive; a running node does it, and analyses what comes.

    The word `studies` may be left out. With --wait exit code 1 when something did not come.
    """
    from xrv_node import settings
    from xrv_node.fetch import ask, preview
    from xrv_node.fetch.keys import Key, days, listed
    from xrv_node.spool import Spool

    if (since or until) and patient is None:
        raise typer.BadParameter("--from and --to go with --patient")
    keys: list[Key] = [Key(study=uid) for uid in study_instance_uids or []]
    keys += [Key(accession=one) for one in accession or []]
    if patient is not None:
        keys.append(Key(patient=patient, date=days(since, until)))
    keys += listed(list_) if list_ is not None else []
    if not keys:
        raise typer.BadParameter("name studies, or give --accession, --patient or --list")
    loaded = settings.load(config)
    wanted = ask.Wanted(tuple(keys), archive or ask.only_archive(loaded), all_series, _moment(not_before))
    with opened(config) as store:
        if dry_run:
            found = preview.preview(loaded, store, wanted)
            if as_json:
                print_json(found)
            else:
                print_table(found["studies"], ["study", "modalities", "series", "objects", "present"])
                _tell_unmatched(found["unmatched"])
            return
        identifier = ask.request(loaded, store, Spool(loaded.data_dir), wanted)
        row = _waited(store, loaded, identifier, wait=wait)
    if as_json:
        print_json(row)
    elif wait and row["state"] in ask.FINAL:
        print_fields(row)
    else:
        say(f"fetch {identifier}: `xrv-node fetch show {identifier}` says how far it is")
    if wait and row["state"] != "done":
        raise typer.Exit(1)


@app.command("list")
def list_fetches(
    config: ConfigOption = None,
    state: Annotated[str | None, typer.Option(help="queued, running, done, parked or cancelled.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """The fetches, newest first."""
    from xrv_node.db.tables import JobState
    from xrv_node.fetch import ask

    one_of("--state", state, JobState)
    with opened(config) as store, store.read() as db:
        rows = ask.fetches(db, state=state, limit=limit)
    if as_json:
        print_json(rows)
    else:
        columns = ["id", "archive", "state", "asked", "studies", "objects", "present", "fetched", "failed"]
        waits = [{**row, "next": row["not_before"] if row["state"] == "queued" else None} for row in rows]
        print_table(waits, [*columns, "created_at", "next", "error"])


@app.command()
def show(identifier: str, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """One fetch, its studies, and all that happened to it."""
    from xrv_node.fetch import ask

    with opened(config) as store, store.read() as db:
        row = ask.show(db, identifier)
    if as_json:
        print_json(row)
    else:
        print_fields({**row, "events": [in_zone(event) for event in row["events"]]})


@app.command()
def cancel(identifier: str, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Give a fetch up; what came is kept."""
    from xrv_node import settings
    from xrv_node.fetch import ask
    from xrv_node.spool import Spool

    spool = Spool(settings.load(config).data_dir)
    with opened(config) as store:
        ask.cancel(store, spool, identifier)
        _changed(store, identifier, as_json=as_json)


@app.command()
def retry(identifier: str, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Go on now with a fetch that is parked, or waits."""
    from xrv_node.fetch import ask

    with opened(config) as store:
        ask.retry(store, identifier)
        _changed(store, identifier, as_json=as_json)


def _changed(store: Store, identifier: str, *, as_json: bool) -> None:
    from xrv_node.fetch import ask

    with store.read() as db:
        row = ask.progress(db, identifier)
    if as_json:
        print_json(row)
    else:
        say(f"fetch {identifier}: {row['state']}")


def _moment(given: datetime | None) -> datetime | None:
    """The time; of the clock alone, the next time that it is so late."""
    if given is None or given.year != datetime.strptime("0:00", CLOCK).year:
        return None if given is None else given.astimezone()
    now = datetime.now().astimezone()
    today = now.replace(hour=given.hour, minute=given.minute, second=0, microsecond=0)
    return today if today > now else today + timedelta(days=1)


def _waited(store: Store, settings: Settings, identifier: str, *, wait: bool) -> FetchRow:
    """How far a fetch is; at its end where that is waited for and a node runs that does it."""
    from time import sleep

    from xrv_node import role_locks
    from xrv_node.fetch import ask

    with progress_bar("fetching") as show:
        while True:
            with store.read() as db:
                row = ask.progress(db, identifier)
            total = sum(row["studies"].values())
            show(total - row["studies"].get("waiting", 0), total)
            if row["state"] in ask.FINAL or not wait:
                return row
            if not role_locks.is_serving(settings.data_dir):
                tell("queued; a running node (`xrv-node serve`) does it")
                return row
            sleep(0.5)


def _tell_unmatched(numbers: list[int]) -> None:
    if numbers:
        tell(f"nothing is there for number {', '.join(map(str, numbers))} of what was asked for")
