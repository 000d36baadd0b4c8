"""``init`` and ``config``: write and check the configuration."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from xrv_node.cli.console import ConfigOption, say

_ABOUT_SKIPPED = (
    "A study without a frontal radiograph gets no findings. Shall it get a short report that says why, so "
    "that nobody waits for one? (yes, no, or a number: one in so many)"
)
app = typer.Typer(help="Check the configuration.", no_args_is_help=True)


def init(
    path: Annotated[Path, typer.Argument(help="Where to write it.")] = Path("node.toml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite.")] = False,
    report_skipped: Annotated[
        str | None,
        typer.Option(
            help="Whether a study without a frontal radiograph gets a short report that says why: yes, no, "
            "or a number, one in so many. Asked for at a terminal."
        ),
    ] = None,
) -> None:
    """Write a commented node.toml to start from."""
    from xrv_node import settings
    from xrv_node.errors import ConfigError

    if path.exists() and not force:
        raise ConfigError(f"{path} exists; --force overwrites it")
    if report_skipped is None and sys.stdin.isatty():
        report_skipped = typer.prompt(_ABOUT_SKIPPED, default="no")
    chosen = _skipped(report_skipped or "no")
    try:
        path.write_text(settings.default_text(report_skipped=chosen), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    say(f"wrote {path}. Next: edit it, then `xrv-node config check` and `xrv-node serve`.")


def _skipped(answer: str) -> str:
    """The answer as the file has it."""
    from xrv_node.errors import ConfigError

    plain = answer.strip().lower()
    if plain in ("yes", "y", "true", "no", "n", "false"):
        return "true" if plain[0] in "yt" else "false"
    if plain.isdecimal() and int(plain) > 1:
        return plain
    raise ConfigError(f"--report-skipped {answer}: answer yes, no, or a number of at least 2")


@app.command()
def check(
    config: ConfigOption = None,
    commissioning: Annotated[
        bool, typer.Option("--commissioning", help="As for `serve --commissioning`: do not ask for weights.")
    ] = False,
) -> None:
    """Find what would keep the node from running, and what the files that it names would."""
    from xrv_node import settings, starting
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
    starting.check(loaded, commissioning=commissioning)
    say(f"{where} is good")
