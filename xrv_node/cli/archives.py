"""``archives``: where studies are fetched from, and whether they could be."""

from __future__ import annotations

from typing import Annotated

import typer

from xrv_node.cli.console import ConfigOption, JsonOption, print_checked, print_json, print_table
from xrv_node.db.rows import Checked

app = typer.Typer(help="Look at archives that studies are fetched from, and try them.", no_args_is_help=True)


@app.command("list")
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """The configured archives; that of earlier reports is called priors."""
    from xrv_node import settings

    sections = settings.load(config).all_archives
    rows = [one.model_dump(mode="json", exclude_none=True, exclude={"token"}) for one in sections]
    if as_json:
        print_json(rows)
    else:
        print_table(rows, ["name", "kind", "move", "ae_title", "host", "port", "url"])


@app.command()
def check(
    names: Annotated[list[str] | None, typer.Argument(help="Which; all when none is named.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask each archive what a fetch would, about a patient that nobody is; exit code 1 when one fails."""
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from xrv_node import settings
    from xrv_node.errors import ConfigError, DestinationError
    from xrv_node.fetch import connect

    loaded = settings.load(config)
    chosen = [loaded.archive(n) for n in names] if names else list(loaded.all_archives)
    rows: list[Checked] = []
    for section in chosen:
        try:
            with TemporaryDirectory() as drafts:
                connect.check(section, loaded, Path(drafts))
            lines, good = ["answers what a fetch asks"], True
        except (ConfigError, DestinationError) as error:
            lines, good = list(error.lines), False
        rows.append({"name": section.name, "good": good, "says": lines})
    print_checked(rows, as_json=as_json)
