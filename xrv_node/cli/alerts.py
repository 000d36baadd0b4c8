"""``alerts``: who is told what, and whether it would arrive."""

from __future__ import annotations

from typing import Annotated

import typer

from xrv_node.cli.console import ConfigOption, JsonOption, print_checked, print_json, print_table
from xrv_node.db.rows import Checked

app = typer.Typer(help="Look at alerts, and try them.", no_args_is_help=True)


@app.command("list")
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """The configured alerts."""
    from xrv_node import settings

    rows = [a.model_dump(mode="json", exclude_none=True) for a in settings.load(config).alerts]
    if as_json:
        print_json(rows)
    else:
        print_table(rows, ["name", "kind", "on", "digest_at"])


@app.command("test")
def try_(
    names: Annotated[list[str] | None, typer.Argument(help="Which; all when none is named.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a test by each alert; exit code 1 when one does not arrive."""
    from xrv_node import settings
    from xrv_node.alerts import telling
    from xrv_node.errors import ConfigError, DestinationError

    loaded = settings.load(config)
    rows: list[Checked] = []
    for alert in [loaded.alert(n) for n in names] if names else loaded.alerts:
        try:
            telling.sender(loaded, alert)(telling.test_message(alert))
            says, good = ["a test was sent"], True
        except (ConfigError, DestinationError) as error:
            says, good = list(error.lines), False
        rows.append({"name": alert.name, "good": good, "says": says})
    print_checked(rows, as_json=as_json)
