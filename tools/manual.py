"""The manual page and the completion of shells, from the commands: ``make man`` writes them to share/."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from xrv_node.cli import app
from xrv_node.product import NOTICE, VERSION

NAME = "xrv-node"
PAGE = "man/man1/xrv-node.1"
COMPLETIONS = {
    "bash": "bash-completion/completions/xrv-node",
    "zsh": "zsh/site-functions/_xrv-node",
    "fish": "fish/vendor_completions.d/xrv-node.fish",
}
"""Shells, and where each looks for completions below share/."""
TAIL = rf"""
.SH EXIT STATUS
0: done. 1: it did not succeed, or something waits for a person; each command says when. 2: something that was
given is wrong; a line on standard error says what to change. 130: interrupted.
.SH ENVIRONMENT
.TP
.B XRV_NODE_CONFIG
The configuration, where no \-\-config names one; without it ./node.toml.
.TP
.B XRV_NODE__TABLE__KEY
A key of the configuration, which wins over the file; lists and tables in JSON.
.SH FILES
.TP
.I node.toml
The configuration; \fBxrv\-node init\fR writes one with comments.
.SH NOTES
{NOTICE}
"""


def page() -> str:
    """The manual page, in the macros of man(7)."""
    root = typer.main.get_command(app)
    lines = [
        f'.TH XRV\\-NODE 1 "" "{NAME} {VERSION}" "User Commands"',
        ".SH NAME",
        f"{_plain(NAME)} \\- {_plain(root.help.partition(':')[0])}",
        ".SH SYNOPSIS",
        f".B {_plain(NAME)}",
        ".I command",
        "[options]",
        ".SH DESCRIPTION",
        _plain(root.help),
        ".SH COMMANDS",
    ]
    for name, command in _commands(NAME, root):
        lines += [f'.SS "{_plain(name)}"', *_paragraphs(command.help), *_parameters(command)]
    return "\n".join(lines) + TAIL


def completion(shell: str) -> str:
    """The script by which a shell asks the program itself for what may follow."""
    script: str = typer.completion.get_completion_script(
        prog_name=NAME, complete_var="_XRV_NODE_COMPLETE", shell=shell
    )
    return script + "\n"


def files() -> dict[str, str]:
    """All files below share/ with their texts."""
    return {PAGE: page()} | {place: completion(shell) for shell, place in COMPLETIONS.items()}


def _commands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    for key, one in getattr(command, "commands", {}).items():
        if hasattr(one, "commands"):
            yield from _commands(f"{name} {key}", one)
        else:
            yield f"{name} {key}", one


def _parameters(command: Any) -> Iterator[str]:
    for one in command.params:
        if "--help" in one.opts:
            continue
        is_option = one.opts[0].startswith("-")
        names = ", ".join([*one.opts, *one.secondary_opts]) if is_option else one.name.upper()
        takes = is_option and not getattr(one, "is_flag", False)
        value = f" \\fI{_plain(one.metavar or one.name.upper())}\\fR" if takes else ""
        shown = getattr(one, "show_default", None)
        default = f" Default: {shown}." if isinstance(shown, str) else ""
        yield from (".TP", f"\\fB{_plain(names)}\\fR{value}", _plain((one.help or "") + default) or "\\&")


def _paragraphs(words: str | None) -> list[str]:
    parts = re.split(r"\n\s*\n", (words or "").strip())
    return "\n.PP\n".join(_plain(part) for part in parts).split("\n")


def _plain(words: str) -> str:
    """Text without anything that the formatter would do something by."""
    text = " ".join(words.split()).replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text


def main() -> None:
    """Write them below the folder that is named."""
    for place, text in files().items():
        target = Path(sys.argv[1]) / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
