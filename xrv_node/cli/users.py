"""``users``: people who sign in over HTTP."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from xrv_node.cli.console import ConfigOption, JsonOption, ask_secret, opened, print_json, print_table, say

app = typer.Typer(help="Who signs in over HTTP, and what each may do.", no_args_is_help=True)


class UserRole(StrEnum):
    """What a person may."""

    viewer = "viewer"
    operator = "operator"
    admin = "admin"


FileOption = Annotated[
    Path | None,
    typer.Option(
        "--password-file", help="Whose first line is the password; else it is asked for, or read from a pipe."
    ),
]
Name = Annotated[str, typer.Argument(help="By which the person signs in.")]
RoleOption = Annotated[
    UserRole, typer.Option(help="viewer reads; operator also sends, fetches and retries; admin all.")
]


@app.command()
def add(
    name: Name,
    role: RoleOption = UserRole.viewer,
    password_file: FileOption = None,
    config: ConfigOption = None,
) -> None:
    """Let a person sign in."""
    from xrv_node.web.access import users

    with opened(config) as store:
        users.known_as(name)  # before anything is asked
        password = ask_secret("Password", password_file)
        with store.begin() as db:
            known = users.add(db, name, role.value, password)
    say(f"{known} may sign in as {role.value}")


@app.command("list")
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Who there is."""
    from xrv_node.web.access import users

    with opened(config) as store, store.read() as db:
        rows = users.everybody(db)
    if as_json:
        print_json(rows)
    else:
        table = [{**row, "added": row["created_at"], "signed in": row["seen_at"]} for row in rows]
        print_table(table, ["name", "role", "added", "signed in"])


@app.command()
def passwd(name: Name, password_file: FileOption = None, config: ConfigOption = None) -> None:
    """Give a person another password; all sessions of that person end."""
    from xrv_node.web.access import users

    with opened(config) as store:
        password = ask_secret("Password", password_file)
        with store.begin() as db:
            users.set_password(db, name, password)
    say(f"{name} has a new password, and is signed out everywhere")


@app.command()
def role(
    name: Name,
    role: Annotated[UserRole, typer.Argument(help="What the person may from now on.")],
    config: ConfigOption = None,
) -> None:
    """Let a person do more, or less; all sessions of that person end."""
    from xrv_node.web.access import users

    with opened(config) as store, store.begin() as db:
        users.set_role(db, name, role.value)
    say(f"{name} is {role.value}, and is signed out everywhere")


@app.command()
def remove(name: Name, config: ConfigOption = None) -> None:
    """Let a person in no more; all sessions of that person end."""
    from xrv_node.web.access import users

    with opened(config) as store, store.begin() as db:
        users.remove(db, name)
    say(f"{name} is removed, and is signed out everywhere")
