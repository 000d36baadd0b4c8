"""``serve`` and ``status``."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated, Any

import typer

from xrv_node.cli.console import ConfigOption, JsonOption, opened, print_fields, print_json, say


class Only(StrEnum):
    """A role of the node."""

    receiver = "receiver"
    worker = "worker"
    courier = "courier"
    web = "web"


def serve(
    config: ConfigOption = None,
    commissioning: Annotated[
        bool,
        typer.Option("--commissioning", help="Without weights: answer for phantoms, and for nothing else."),
    ] = False,
    only: Annotated[
        Only | None, typer.Option(help="Run one process of the node; a second machine joins with a worker.")
    ] = None,
) -> None:
    """Run the node until SIGTERM."""
    from xrv_node import log, node, settings

    os.umask(0o077)  # what the node keeps is patients' data
    loaded = settings.load(config)
    log.configure(loaded.log, only.value if only else "serve")
    if only is not None:
        node.run_role(only.value, loaded, commissioning=commissioning)
        return
    code = node.serve(
        loaded,
        settings.find(config),
        commissioning=commissioning,
        announce=say,
    )
    raise typer.Exit(code)


def status(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """What the node is doing, now; exit code 1 where something waits for a person."""
    from xrv_node import settings
    from xrv_node.doctor.status import status as look

    with opened(config) as store:
        found = look(settings.load(config), store)
    if as_json:
        print_json(found)
    else:
        _print_status(dict(found))
    raise typer.Exit(1 if found["amiss"] else 0)


def _print_status(found: dict[str, Any]) -> None:
    amiss = found.pop("amiss")
    if found["commissioning"]:
        found["commissioning"] = "True: last started to answer for phantoms alone"
    print_fields({key: "none" if value in (None, [], {}) else value for key, value in found.items()})
    for one in amiss:
        say(f"amiss: {one['says']}; {one['remedy']}")
