"""Options of the commands that call a peer over TLS."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import ssl

_PANEL = "TLS, as a destination's"

TlsOption = Annotated[
    bool, typer.Option("--tls", help="Turned on by --ca and --certificate too.", rich_help_panel=_PANEL)
]
CaOption = Annotated[
    Path | None,
    typer.Option(
        help="Authority of the peer's certificate.",
        show_default="those of the system",
        rich_help_panel=_PANEL,
    ),
]
CertificateOption = Annotated[
    Path | None, typer.Option(help="Ours, for a peer that asks for one.", rich_help_panel=_PANEL)
]
KeyOption = Annotated[Path | None, typer.Option(help="Its key.", rich_help_panel=_PANEL)]
VerifyHostOption = Annotated[
    bool, typer.Option(help="The peer's certificate must name its host.", rich_help_panel=_PANEL)
]


def tls_context(
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
