"""``send``: C-STORE files to any AE, as a modality would."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xrv_node.cli.console import ConfigOption, JsonOption, print_json, say, watched
from xrv_node.cli.documents import Sent
from xrv_node.cli.tls_options import (
    CaOption,
    CertificateOption,
    KeyOption,
    TlsOption,
    VerifyHostOption,
    tls_context,
)

if TYPE_CHECKING:
    import ssl

    from xrv_node.deliver.scu import Peer
    from xrv_node.deliver.way import Way

CALLING_AE = "XRVSEND"


def send(
    paths: Annotated[list[Path], typer.Argument(help="DICOM files, or folders of them.")],
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="AE@HOST:PORT",
            help="The peer.",
            show_default="the configured node, with the TLS that it has",
        ),
    ] = None,
    calling_ae: Annotated[
        str | None,
        typer.Option(
            help="The AE title to call from.", show_default=f"{CALLING_AE}, or one that the node lets in"
        ),
    ] = None,
    as_sender: Annotated[
        bool,
        typer.Option(
            "--as-sender",
            help="Call for each file from the AE title that it came from, where the file says so "
            "(Source Application Entity Title, which a node writes).",
        ),
    ] = False,
    use_tls: TlsOption = False,
    ca: CaOption = None,
    certificate: CertificateOption = None,
    key: KeyOption = None,
    verify_host: VerifyHostOption = True,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """C-STORE files to any AE; exit code 1 when one was not taken."""
    from xrv_node.deliver import scu

    context = tls_context(use_tls, ca, certificate, key, verify_host=verify_host)
    way, title = _called(to, calling_ae, context, config)
    files = scu.files_in(paths)
    sent = scu.send_by_sender(way, title, files, as_sender=as_sender)
    rows = list(watched(sent, len(files), "sending"))
    if as_json:
        print_json([Sent(path=r.path, good=r.good, says=r.says) for r in rows])
    else:
        for row in rows:
            if not row.good:
                say(f"{row.path}: {row.says}")
        say(f"{sum(r.good for r in rows)} of {len(rows)} sent to {way}")
    raise typer.Exit(0 if all(r.good for r in rows) else 1)


def _called(
    to: str | None, calling_ae: str | None, context: ssl.SSLContext | None, config: Path | None
) -> tuple[Way, str]:
    """Whom to call and over what, and from which title: what is not said is as the configured node has it."""
    from xrv_node import settings
    from xrv_node.deliver.way import Way, to_itself

    if to is not None:
        return Way(peer("--to", to), context), calling_ae or CALLING_AE
    loaded = settings.load(config)
    title = calling_ae or next(iter(loaded.receive.allowed_calling_ae), CALLING_AE)
    own = to_itself(loaded, title)
    return Way(own.peer, context or own.context), title


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
