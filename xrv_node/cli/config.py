"""``init`` and ``config``: write and check the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from xrv_node.cli.console import ConfigOption, say

app = typer.Typer(help="Check the configuration.", no_args_is_help=True)


def init(
    path: Annotated[Path, typer.Argument(help="Where to write it.")] = Path("node.toml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite.")] = False,
) -> None:
    """Write a commented node.toml to start from."""
    from xrv_node import settings
    from xrv_node.errors import ConfigError

    if path.exists() and not force:
        raise ConfigError(f"{path} exists; --force overwrites it")
    try:
        path.write_text(settings.default_text(), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    say(f"wrote {path}. Next: edit it, then `xrv-node config check` and `xrv-node serve`.")


@app.command()
def check(
    config: ConfigOption = None,
    commissioning: Annotated[
        bool, typer.Option("--commissioning", help="As for `serve --commissioning`: do not ask for weights.")
    ] = False,
) -> None:
    """Find what would keep the node from running, and what the files that it names would."""
    from xrv_node import node, settings
    from xrv_node.doctor import configuration
    from xrv_node.doctor.diagnosis import State
    from xrv_node.errors import ConfigError

    loaded = settings.load(config)
    where = settings.find(config) or "the default configuration"
    found = list(configuration.look(loaded))
    for state, says, remedy in found:
        if state == State.WARN:
            say(f"warning: {where}: {says}; {remedy}")
    wrong = [f"{where}: {says}; {remedy}" for state, says, remedy in found if state == State.FAIL]
    if wrong:
        raise ConfigError(*wrong)
    node.check(loaded, commissioning=commissioning)
    say(f"{where} is good")
