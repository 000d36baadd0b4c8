"""``send``: C-STORE files to any AE, as a modality would."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xrv_node.cli.console import JsonOption, print_json, say, watched

if TYPE_CHECKING:
    from xrv_node.deliver.scu import Peer


def send(
    paths: Annotated[list[Path], typer.Argument(help="DICOM files, or folders of them.")],
    to: Annotated[str, typer.Option("--to", help="The peer, as AE@host:port.")] = "XRVNODE@127.0.0.1:11112",
    calling_ae: Annotated[str, typer.Option(help="The AE title to call from.")] = "XRVSEND",
    as_json: JsonOption = False,
) -> None:
    """C-STORE files to any AE; exit code 1 when one was not taken."""
    from xrv_node.deliver import scu

    whom = peer("--to", to)
    files = scu.files_in(paths)
    sent = scu.send(whom, files, calling_ae=calling_ae)
    rows = list(watched(sent, len(files), "sending"))
    if as_json:
        print_json([{"path": str(r.path), "good": r.good, "says": r.says} for r in rows])
    else:
        for row in rows:
            if not row.good:
                say(f"{row.path}: {row.says}")
        say(f"{sum(r.good for r in rows)} of {len(rows)} sent to {to}")
    raise typer.Exit(0 if all(r.good for r in rows) else 1)


def peer(option: str, text: str) -> Peer:
    """Read ``AE@host:port`` as an option gives it.

    Raises
    ------
    ConfigError
        It is something else.
    """
    from xrv_node.deliver.scu import Peer
    from xrv_node.errors import ConfigError

    match = re.fullmatch(r"([^@]{1,16})@\[?(.+?)\]?:(\d{1,5})", text)  # IPv6 in brackets, as in a URL
    if match is None or not 0 < int(match[3]) < 1 << 16:
        raise ConfigError(f"{option} {text}: write AE@host:port, for example XRVNODE@127.0.0.1:11112")
    return Peer(match[1], match[2], int(match[3]))
