"""``destinations``: where results go, and whether they would arrive."""

from __future__ import annotations

from typing import Annotated

import typer

from xrv_node.cli.console import ConfigOption, JsonOption, print_checked, print_json, print_table

app = typer.Typer(help="Look at destinations, and try them.", no_args_is_help=True)


@app.command("list")
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """The configured destinations."""
    from xrv_node import settings
    from xrv_node.settings.destinations import addresses

    rows = [d.model_dump(mode="json", exclude_none=True) for d in settings.load(config).destinations]
    if as_json:
        print_json(rows)
    else:
        print_table(rows, ["name", "kind", *addresses(), "send"])


@app.command()
def check(
    names: Annotated[list[str] | None, typer.Argument(help="Which; all when none is named.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Connect to each destination as a delivery would, and say what it takes; exit code 1 when one fails."""
    from xrv_node import settings
    from xrv_node.deliver.senders import tried

    loaded = settings.load(config)
    chosen = [loaded.destination(n) for n in names] if names else loaded.destinations
    print_checked([tried(one, loaded.receive.ae_title) for one in chosen], as_json=as_json)
