"""``studies``: what came, what was made of it, and where that went."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from xrv_node.cli.console import (
    ConfigOption,
    JsonOption,
    complain,
    opened,
    print_fields,
    print_json,
    print_table,
    progress_bar,
    say,
    watched,
)
from xrv_node.cli.documents import Reanalysed, Reprocessed, Resent
from xrv_node.cli.words import one_of
from xrv_node.errors import XrvNodeError

if TYPE_CHECKING:
    from xrv_node.db.store import Store
    from xrv_node.settings import Settings

DAY = "%Y-%m-%d"


def of_days(since: datetime | None, until: datetime | None) -> tuple[datetime | None, datetime | None]:
    """From the first of these days on, and before the day after the last, in this machine's time zone."""
    return (
        None if since is None else since.astimezone(),
        None if until is None else (until + timedelta(days=1)).astimezone(),
    )


app = typer.Typer(help="Look at studies, send their results again, analyse them again.", no_args_is_help=True)


@app.command("list")
def list_(
    config: ConfigOption = None,
    since: Annotated[datetime | None, typer.Option(formats=[DAY], help="Came on that day or later.")] = None,
    until: Annotated[datetime | None, typer.Option(formats=[DAY], help="Came on that day or before.")] = None,
    sender: Annotated[str | None, typer.Option(help="An image came from this AE title.")] = None,
    accession: Annotated[str | None, typer.Option(help="An image has this Accession Number.")] = None,
    patient: Annotated[str | None, typer.Option(help="An image has this Patient ID.")] = None,
    station: Annotated[str | None, typer.Option(help="An image has this Station Name.")] = None,
    state: Annotated[str | None, typer.Option(help="open, closed, reported or failed.")] = None,
    verdict: Annotated[
        str | None,
        typer.Option(
            help="What an image was taken for: frontal, lateral, not_chest, not_suitable, unknown or phantom."
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """The studies, newest first; with several options those that match all of them.

    Accession, patient and station are compared by keyed digests, and shown nowhere. Days are of this
    machine's time zone.
    """
    from xrv_node import settings
    from xrv_node.db import queries
    from xrv_node.db.tables import StudyState
    from xrv_node.jobs import lookup
    from xrv_node.spool import Spool
    from xrv_node.values import Verdict

    one_of("--state", state, StudyState)
    one_of("--verdict", verdict, Verdict)
    spool = Spool(settings.load(config).data_dir)
    first, end = of_days(since, until)
    with opened(config) as store, store.read() as db:
        which = [
            *lookup.came(first, end),
            *lookup.with_image(calling_ae=sender, verdict=verdict),
            *lookup.said(db, spool, accession=accession, patient_id=patient, station=station),
        ]
        rows = queries.studies(db, *which, state=state, limit=limit)
    if as_json:
        print_json(rows)
    else:
        columns = ["study", "state", "revision", "verdicts", "instances", "deliveries", "senders"]
        print_table(rows, [*columns, "received_at"])


@app.command()
def show(study_instance_uid: str, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """One study: each object's verdict and scores, each result and its deliveries."""
    from xrv_node.db import queries

    with opened(config) as store, store.read() as db:
        row = queries.study(db, study_instance_uid)
    if as_json:
        print_json(row)
    else:
        print_fields(row)


@app.command()
def purge(
    study_instance_uids: Annotated[
        list[str] | None, typer.Argument(help="Which; without any: all that are old enough.")
    ] = None,
    older_than: Annotated[
        float | None,
        typer.Option(min=0, help="Days since something of the study came, or it was reported."),
    ] = None,
    inputs: Annotated[bool, typer.Option("--inputs", help="Only the received objects.")] = False,
    results: Annotated[bool, typer.Option("--results", help="Only what was made of them.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would go and what stays.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also what is parked or not delivered; it is lost then.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove the files of studies; their record stays. Exit code 1 when a study that was named is held."""
    from dataclasses import asdict

    from xrv_node import settings
    from xrv_node.index import follow
    from xrv_node.retention import purge as retention
    from xrv_node.spool import Spool

    if not study_instance_uids and older_than is None:
        raise XrvNodeError("name studies, or say how old they must be with --older-than DAYS")
    loaded = settings.load(config)
    spool, committing = Spool(loaded.data_dir), retention.committing(loaded)
    whats = [what for what, wanted in zip(retention.WHATS, (inputs, results), strict=True) if wanted]
    with opened(config) as store:
        with store.read() as db:
            chosen = retention.chosen(db, study_instance_uids, older_than or 0, whats or retention.WHATS)
        found = [
            retention.look(store, spool, *one, committing=committing, force=force)
            for one in watched(chosen, len(chosen), "looking")
        ]
        going = [one for one, outcome in zip(chosen, found, strict=True) if not outcome.held]
        size = sum(outcome.size for outcome in found if not outcome.held)
        if going and not dry_run:
            if not yes:
                studies = len({study for study, _ in going})
                typer.confirm(f"Remove {size / 2**20:.1f} MiB of {studies} studies?", abort=True, err=True)
            found = [outcome for outcome in found if outcome.held] + [
                retention.purge(store, spool, *one, committing=committing, force=force, forced=force)
                for one in watched(going, len(going), "purging")
            ]
            follow.forget(loaded, store, spool)
    rows = [asdict(outcome) | {"held": outcome.held} for outcome in found]  # with its words, where printed
    if as_json:
        print_json(rows)
    else:
        print_table(rows, ["study", "what", "files", "size", "held"])
        say(f"{'would remove' if dry_run else 'removed'} {size / 2**20:.1f} MiB")
    raise typer.Exit(1 if study_instance_uids and any(outcome.held for outcome in found) else 0)


@app.command()
def resend(
    study_instance_uid: str,
    to: Annotated[
        str | None,
        typer.Option(
            help="Only this destination, and what it takes though it never got it.", show_default="all"
        ),
    ] = None,
    kind: Annotated[str | None, typer.Option(help="Only this kind of result, e.g. report.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a study's newest results again, the same objects under the same UIDs."""
    from xrv_node import settings
    from xrv_node.jobs import rerun
    from xrv_node.result_kinds import KINDS
    from xrv_node.spool import Spool

    one_of("--kind", kind, KINDS)
    chosen = settings.load(config)
    destinations = rerun.receivers(chosen, to)
    with opened(config) as store, store.begin() as db:
        queued = rerun.resend(
            db,
            Spool(chosen.data_dir),
            study_instance_uid,
            destinations,
            kind=kind,
            anew=to is not None,
        )
    if as_json:
        print_json(Resent(queued=queued))
    elif queued:
        print_table(queued, ["kind", "destination", "instance"])
    else:
        say("nothing queued: all of it still waits to be sent")


@app.command()
def reprocess(
    study_instance_uids: Annotated[list[str] | None, typer.Argument(help="Which.")] = None,
    all_failed: Annotated[
        bool, typer.Option("--all-failed", help="Those of which an image or the report failed.")
    ] = False,
    incomplete: Annotated[
        bool, typer.Option("--incomplete", help="Those of which an analysis or a result lost its file.")
    ] = False,
    all_: Annotated[bool, typer.Option("--all", help="All, with --since or --older-models.")] = False,
    since: Annotated[
        datetime | None, typer.Option(formats=[DAY], help="Of these, what came on that day or later.")
    ] = None,
    older_models: Annotated[
        bool, typer.Option("--older-models", help="Of these, what other models than the present analysed.")
    ] = False,
    wait: Annotated[bool, typer.Option(help="Wait for the new results.")] = True,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Analyse studies again with the present models; their new results supersede the old."""
    from xrv_node import settings
    from xrv_node.jobs import rerun
    from xrv_node.models import weights
    from xrv_node.retention import orphans
    from xrv_node.spool import Spool

    if sum((bool(study_instance_uids), all_failed, incomplete, all_)) != 1:
        raise typer.BadParameter("name studies, or give --all-failed, --incomplete or --all")
    if all_ and since is None and not older_models:
        raise typer.BadParameter("--all needs --since DATE or --older-models")
    chosen = settings.load(config)
    models = chosen.models
    present = None
    if older_models:
        present = weights.model_set(models.names, chosen.models_dir, models.thresholds).digest
    spool = Spool(chosen.data_dir)
    results, refused = {}, {}
    with opened(config) as store:
        with store.read() as db:
            day = None if since is None else since.astimezone()
            found = rerun.choose(db, failed=all_failed, since=day, not_by=present)
            if incomplete:
                lost = orphans.incomplete(db, spool)
                found = [uid for uid in found if uid in lost]
        if study_instance_uids:
            narrowed = since is not None or older_models
            found = [uid for uid in study_instance_uids if uid in found or not narrowed]
        for uid in found:
            try:
                with store.begin() as db:
                    results[uid] = rerun.made(db, uid)[1]
                    rerun.reprocess(db, spool, uid)
            except XrvNodeError as error:
                refused[uid] = str(error)
        queued = [uid for uid in results if uid not in refused]
        outcomes = _outcomes(store, chosen, {uid: results[uid] for uid in queued}, wait=wait)
    if as_json:
        print_json(Reprocessed(studies=outcomes, refused=refused))
    elif outcomes or not refused:
        print_table(outcomes, ["study", "state", "says"])
    for why in refused.values():
        complain(why)
    if refused or any(row["state"] == "failed" for row in outcomes):
        raise typer.Exit(1)


def _outcomes(store: Store, settings: Settings, before: dict[str, int], *, wait: bool) -> list[Reanalysed]:
    """What became of the studies that are analysed again; waits for the node, if there is one, to do it."""
    from time import sleep

    from xrv_node import role_locks
    from xrv_node.jobs import rerun

    with progress_bar("analysing again") as show:
        while True:
            with store.read() as db:
                left = rerun.unfinished(db, list(before))
            show(len(before) - len(left), len(before))
            if not left or not wait or not role_locks.is_serving(settings.data_dir):
                break
            sleep(0.5)
    rows: list[Reanalysed] = []
    with store.read() as db:
        for uid, count in before.items():
            state, now = rerun.made(db, uid)
            says = (
                f"{now - count} new results"
                if now > count
                else "nothing new: the results are those of before"
            )
            if uid in left:
                says = "queued; a running node (`xrv-node serve`) does it"
            rows.append({"study": uid, "state": state, "says": says})
    return rows
