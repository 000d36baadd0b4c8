"""``tokens``: programs that are let in over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from xrv_node.cli.console import ConfigOption, JsonOption, opened, print_json, print_table, say, tell
from xrv_node.cli.documents import NewToken

app = typer.Typer(help="Which programs are let in over HTTP, and what each may do.", no_args_is_help=True)


class TokenRole(StrEnum):
    """What a program may."""

    sender = "sender"
    viewer = "viewer"
    operator = "operator"
    admin = "admin"


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="By which it is known and revoked.")],
    role: Annotated[
        TokenRole,
        typer.Option(help="sender only stores; viewer only reads; operator does both and acts; admin all."),
    ] = TokenRole.viewer,
    ae_title: Annotated[
        str, typer.Option(help="Who the program is to the rules of destinations.when, and for replies.")
    ] = "WEB",
    expires: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The day on which it ends, by UTC; else it does not."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a token, which is shown now and never again."""
    from pydantic import TypeAdapter, ValidationError

    from xrv_node.errors import ConfigError
    from xrv_node.settings.section import AETitle
    from xrv_node.web.access import tokens

    try:
        title = TypeAdapter(AETitle).validate_python(ae_title)
    except ValidationError as error:
        raise ConfigError(f"--ae-title: {error.errors()[0]['ctx']['error']}") from error
    until = None if expires is None else expires.replace(tzinfo=UTC)
    with opened(config) as store, store.begin() as db:
        made = tokens.add(db, name, role.value, title, until)
    if as_json:
        print_json(NewToken(name=name, token=made))
    else:
        tell("keep it where only the program reads it; it is not shown again:")
        say(made)


@app.command("list")
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Which there are, and when each was last used."""
    from xrv_node.web.access import tokens

    with opened(config) as store, store.read() as db:
        rows = tokens.all_of_them(db)
    if as_json:
        print_json(rows)
    else:
        table = [
            {**row, "made": row["created_at"], "used": row["used_at"], "ends": row["expires_at"]}
            for row in rows
        ]
        print_table(table, ["name", "role", "ae_title", "made", "used", "ends"])


@app.command()
def revoke(
    name: Annotated[str, typer.Argument(help="Which.")],
    config: ConfigOption = None,
) -> None:
    """Let nobody in with a token any more."""
    from xrv_node.web.access import tokens

    with opened(config) as store, store.begin() as db:
        tokens.revoke(db, name)
    say(f"{name} is revoked")
