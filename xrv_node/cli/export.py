"""``export``: images and results of the spool for research."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xrv_node.cli.console import ConfigOption, JsonOption, opened, print_json, say, watched
from xrv_node.cli.documents import Exported as Told
from xrv_node.cli.studies import DAY, of_days
from xrv_node.cli.words import one_of
from xrv_node.errors import ConfigError

if TYPE_CHECKING:
    from xrv_node.export.confidentiality import Options
    from xrv_node.export.run import Exported

_WHICH, _HOW = "Which images", "What becomes of them"
_NAMED = 5
"""UIDs that are shown of what was left out for one reason."""


class Unknown(StrEnum):
    """What becomes of an image that does not say whether a name is in its pixels."""

    refuse = "refuse"
    keep = "keep"


def export(
    out: Annotated[Path, typer.Argument(help="A new folder; that of the same command goes on.")],
    since: Annotated[
        datetime | None,
        typer.Option(formats=[DAY], help="Came on that day or later.", rich_help_panel=_WHICH),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(formats=[DAY], help="Came on that day or before.", rich_help_panel=_WHICH),
    ] = None,
    sender: Annotated[
        str | None, typer.Option(help="Came from this AE title.", rich_help_panel=_WHICH)
    ] = None,
    accession: Annotated[
        str | None,
        typer.Option(help="Of a study with this Accession Number.", rich_help_panel=_WHICH),
    ] = None,
    patient: Annotated[
        str | None, typer.Option(help="Of a study with this Patient ID.", rich_help_panel=_WHICH)
    ] = None,
    station: Annotated[
        str | None, typer.Option(help="Of a study with this Station Name.", rich_help_panel=_WHICH)
    ] = None,
    studies: Annotated[
        Path | None,
        typer.Option(
            help="Of a study in this file: a Study Instance UID or an Accession Number a line.",
            rich_help_panel=_WHICH,
        ),
    ] = None,
    verdict: Annotated[
        str | None,
        typer.Option(
            help="Taken for: frontal, lateral, not_chest, not_suitable, unknown or phantom.",
            rich_help_panel=_WHICH,
        ),
    ] = None,
    view: Annotated[
        list[str] | None,
        typer.Option(help="Of this view, e.g. PA; again for more.", rich_help_panel=_WHICH),
    ] = None,
    finding: Annotated[
        list[str] | None,
        typer.Option(
            help="With this finding at or over its operating point; again for more, any of which will do.",
            rich_help_panel=_WHICH,
        ),
    ] = None,
    deidentify: Annotated[
        bool,
        typer.Option("--deidentify", help="By PS3.15 annex E, the basic profile.", rich_help_panel=_HOW),
    ] = False,
    modified_dates: Annotated[
        bool,
        typer.Option(
            "--modified-dates",
            help="With dates and times, all of a patient moved by the same hours; else there are none.",
            rich_help_panel=_HOW,
        ),
    ] = False,
    patient_characteristics: Annotated[
        bool,
        typer.Option(
            "--patient-characteristics", help="With sex, age, size and weight.", rich_help_panel=_HOW
        ),
    ] = False,
    burned_in_unknown: Annotated[
        Unknown,
        typer.Option(
            help="Images that do not say whether a name is in their pixels: refuse, or keep after somebody "
            "has looked.",
            rich_help_panel=_HOW,
        ),
    ] = Unknown.refuse,
    identified: Annotated[
        bool,
        typer.Option("--identified", help="As they are: with patient data.", rich_help_panel=_HOW),
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write images and results for research, with a table of the scores.

    What is left out is counted; its UIDs are told here and not in the folder. Days are of this machine's time
    zone.
    """
    from xrv_node import settings
    from xrv_node.export.run import Plan
    from xrv_node.export.run import export as carry_out
    from xrv_node.export.selection import Selection, listed
    from xrv_node.frontal.rules import load_rules
    from xrv_node.jobs import lookup
    from xrv_node.report import codes
    from xrv_node.spool import Spool
    from xrv_node.values import Verdict

    options = _options(deidentify, identified, modified_dates, patient_characteristics)
    one_of("--verdict", verdict, Verdict)
    views = {term.view for term in load_rules().views if term.view}
    for option, given, words in (("--finding", finding, codes.findings()), ("--view", view, views)):
        for one in given or ():
            one_of(option, one, words)
    lines = _lines(studies)
    spool = Spool(settings.load(config).data_dir)
    first, end = of_days(since, until)
    columns = {"calling_ae": sender, "verdict": verdict}
    with opened(config) as store:
        with store.read() as db:
            which = [
                *lookup.came(first, end),
                *lookup.said(db, spool, accession=accession, patient_id=patient, station=station),
            ]
            if lines is not None:
                which.append(listed(db, spool, lines))
        chosen = Selection(
            tuple(which),
            tuple((name, value) for name, value in columns.items() if value is not None),
            tuple(view or ()),
            tuple(finding or ()),
        )
        said = (
            first,
            end,
            accession,
            patient,
            station,
            lines,
            columns,
            chosen.views,
            chosen.findings,
            options,
        )
        plan = Plan(
            out, chosen, options, burned_in_unknown is Unknown.keep, (*map(str, said), burned_in_unknown)
        )
        done = carry_out(store, spool, plan, lambda uids: watched(uids, len(uids), "exporting"))
    if as_json:
        print_json(_told(out, done, options))
    else:
        _print(out, done)
    raise typer.Exit(0 if done.images else 1)


def _options(deidentify: bool, identified: bool, dates: bool, characteristics: bool) -> Options | None:
    from xrv_node.export.confidentiality import Options

    if deidentify == identified:
        raise ConfigError(
            "say what becomes of patient data: --deidentify takes them out, --identified leaves them in; "
            "one of both"
        )
    if identified and (dates or characteristics):
        raise ConfigError("--modified-dates and --patient-characteristics go with --deidentify")
    return Options(dates, characteristics) if deidentify else None


def _lines(path: Path | None) -> list[str] | None:
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--studies {path}: is no text file that can be read") from error


def _told(out: Path, done: Exported, options: Options | None) -> Told:
    from xrv_node.export.confidentiality import methods
    from xrv_node.export.left_out import WHY

    return {
        "folder": out,
        "deidentified": options is not None,
        "methods": {code.value: code.meaning for code in methods(options)} if options is not None else {},
        "studies": done.studies,
        "images": done.images,
        "results": done.results,
        "left_out": [
            {"why": why, "says": WHY[why], "instances": uids} for why, uids in done.left_out.items()
        ],
    }


def _print(out: Path, done: Exported) -> None:
    from xrv_node.export.left_out import WHY

    say(f"{out}: {done.images} images and {done.results} results of {done.studies} studies")
    for why, uids in done.left_out.items():
        more = [f"  and {len(uids) - _NAMED} more: --json names all"] if len(uids) > _NAMED else []
        say(f"{len(uids)} left out: {WHY[why]}", *(f"  {uid}" for uid in uids[:_NAMED]), *more)
    if not done.images and not done.left_out:
        say("no image that came here is so: `xrv-node studies list` shows the studies")
