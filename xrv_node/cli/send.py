"""``send``: C-STORE files to any AE, as a modality would."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xrv_node.cli.console import ConfigOption, JsonOption, print_json, say, watched

if TYPE_CHECKING:
    import ssl

    from xrv_node.deliver.scu import Peer
    from xrv_node.deliver.way import Way

CALLING_AE = "XRVSEND"
_TLS = "TLS, as a destination's"


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
    use_tls: Annotated[
        bool, typer.Option("--tls", help="Turned on by --ca and --certificate too.", rich_help_panel=_TLS)
    ] = False,
    ca: Annotated[
        Path | None,
        typer.Option(
            help="Authority of the peer's certificate.",
            show_default="those of the system",
            rich_help_panel=_TLS,
        ),
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="Ours, for a peer that asks for one.", rich_help_panel=_TLS)
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Its key.", rich_help_panel=_TLS)] = None,
    verify_host: Annotated[
        bool, typer.Option(help="The peer's certificate must name its host.", rich_help_panel=_TLS)
    ] = True,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """C-STORE files to any AE; exit code 1 when one was not taken."""
    from xrv_node.deliver import scu

    context = _context(use_tls, ca, certificate, key, verify_host=verify_host)
    way, title = _called(to, calling_ae, context, config)
    files = scu.files_in(paths)
    sent = scu.send_by_sender(way, title, files, as_sender=as_sender)
    rows = list(watched(sent, len(files), "sending"))
    if as_json:
        print_json([{"path": str(r.path), "good": r.good, "says": r.says} for r in rows])
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


def _context(
    use_tls: bool, ca: Path | None, certificate: Path | None, key: Path | None, *, verify_host: bool
) -> ssl.SSLContext | None:
    """The context that the options ask for.

    Raises
    ------
    ConfigError
        A file of theirs is missing or wrong, or they ask for half of it.
    """
    from xrv_node import tls
    from xrv_node.errors import ConfigError

    if (certificate is None) != (key is None):
        raise ConfigError("--certificate and --key go together: give both, or neither")
    if not (use_tls or ca or certificate):
        if not verify_host:
            raise ConfigError("--no-verify-host is of TLS: give --tls or --ca too")
        return None
    context = tls.client_context(ca, certificate, key, "tls")
    context.check_hostname = verify_host
    return context


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
