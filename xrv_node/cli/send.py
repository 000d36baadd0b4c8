"""``send``: C-STORE files to any AE, as a modality would."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from xrv_node.cli.console import JsonOption, print_json


def send(
    paths: Annotated[list[Path], typer.Argument(help="DICOM files, or folders of them.")],
    to: Annotated[str, typer.Option("--to", help="The peer, as AE@host:port.")] = "XRVNODE@127.0.0.1:11112",
    calling_ae: Annotated[str, typer.Option(help="The AE title to call from.")] = "XRVSEND",
    as_json: JsonOption = False,
) -> None:
    """C-STORE files to any AE; exit code 1 when one was not taken."""
    from rich.progress import track

    from xrv_node.deliver import scu
    from xrv_node.errors import ConfigError

    match = re.fullmatch(r"([^@]{1,16})@(.+):(\d{1,5})", to)
    if match is None:
        raise ConfigError(f"--to {to}: write AE@host:port, for example XRVNODE@127.0.0.1:11112")
    files = scu.files_in(paths)
    peer = scu.Peer(match[1], match[2], int(match[3]))
    sent = scu.send(peer, files, calling_ae=calling_ae)
    rows = list(sent if as_json else track(sent, "sending", total=len(files), transient=True))
    if as_json:
        print_json([{"path": str(r.path), "good": r.good, "says": r.says} for r in rows])
    else:
        for row in rows:
            if not row.good:
                print(f"{row.path}: {row.says}")
        print(f"{sum(r.good for r in rows)} of {len(rows)} sent to {to}")
    raise typer.Exit(0 if all(r.good for r in rows) else 1)
