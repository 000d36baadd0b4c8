"""``doctor``: what is wrong with a node, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from xrv_node.cli.console import ConfigOption, JsonOption, print_json, print_table, progress_bar


def doctor(
    config: ConfigOption = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Put orphaned inputs aside, remove orphaned analyses and results.")
    ] = False,
    files: Annotated[
        bool, typer.Option("--files", help="Read every file of the spool and compare it with its SHA-256.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check disk, ports, database, spool, models, devices and destinations; exit code 1 when one fails."""
    from xrv_node import doctor, log, settings
    from xrv_node.doctor.diagnosis import State

    loaded = settings.load(config)
    log.configure(loaded.log, "doctor")
    with progress_bar("reading files") as told:
        found = list(doctor.examine(loaded, fix=fix, read=told if files else None))
    rows = [asdict(finding) for finding in found]
    if as_json:
        print_json(rows)
    else:
        print_table(rows, ["check", "state", "says", "remedy"])
    raise typer.Exit(1 if any(f.state == State.FAIL for f in found) else 0)
