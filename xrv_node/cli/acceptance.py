"""``acceptance``: try a running node with phantoms, and write the protocol."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xrv_node.cli.console import ConfigOption, JsonOption, print_json, print_table, say, status_line
from xrv_node.cli.results_back import ReceiveHostOption, ReceivePortOption, WaitOption
from xrv_node.cli.send import peer
from xrv_node.cli.tls_options import (
    CaOption,
    CertificateOption,
    KeyOption,
    TlsOption,
    VerifyHostOption,
    tls_context,
)
from xrv_node.cli.words import one_of

if TYPE_CHECKING:
    import ssl

    from xrv_node.acceptance.archive import Archive
    from xrv_node.acceptance.protocol import Protocol

_BACK, _WHAT, _DAILY = "Where results are looked for", "What is tried", "The phantom of every day"


def acceptance(
    node: Annotated[
        str | None,
        typer.Option(
            metavar="AE@HOST:PORT",
            help="A running node; without --through and --archive, with a destination XRVACCEPT.",
            show_default="that of the configuration",
        ),
    ] = None,
    through: Annotated[
        str | None,
        typer.Option(
            metavar="AE@HOST:PORT",
            help="A PACS that routes to the node and gets its results: images go there, and it is asked "
            "(C-FIND, C-GET).",
        ),
    ] = None,
    short: Annotated[bool, typer.Option("--short", help="A few cases.", rich_help_panel=_WHAT)] = False,
    kinds: Annotated[
        list[str] | None,
        typer.Option(
            "--kind",
            help="What the archive is sent.",
            show_default="report, sr, seg, sc",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    limit: Annotated[
        float,
        typer.Option(
            min=1, help="Seconds in which 95 of 100 cases are to be answered.", rich_help_panel=_WHAT
        ),
    ] = 120.0,
    seed: Annotated[int, typer.Option(min=0, help="Another one draws others.", rich_help_panel=_WHAT)] = 1,
    tester: Annotated[str, typer.Option(help="Who stands in the protocol.")] = "",
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the protocol.", show_default="./acceptance/<date and time>"),
    ] = None,
    archive: Annotated[
        str | None,
        typer.Option(
            metavar="AE@HOST:PORT|URL",
            help="An archive to ask: by C-FIND and C-GET, or a URL of DICOMweb.",
            rich_help_panel=_BACK,
        ),
    ] = None,
    receive_port: ReceivePortOption = 11114,
    receive_host: ReceiveHostOption = "127.0.0.1",
    wait: WaitOption = 600.0,
    settle: Annotated[
        float,
        typer.Option(min=0, help="Seconds at the end, for what must not come.", rich_help_panel=_BACK),
    ] = 30.0,
    archive_pdf: Annotated[
        str | None,
        typer.Option(metavar="AE@HOST:PORT", help="Send the protocol there, as Encapsulated PDF."),
    ] = None,
    daily: Annotated[
        bool,
        typer.Option(
            "--daily",
            help="Instead: have the running node answer its daily phantom now.",
            rich_help_panel=_DAILY,
        ),
    ] = False,
    use_tls: TlsOption = False,
    ca: CaOption = None,
    certificate: CertificateOption = None,
    key: KeyOption = None,
    verify_host: VerifyHostOption = True,
    baseline: Annotated[
        bool,
        typer.Option(
            "--baseline",
            help="Instead: take its answer to that phantom for the one to compare with.",
            rich_help_panel=_DAILY,
        ),
    ] = False,
    reason: Annotated[
        str, typer.Option(help="Of that: why; with --tester, for the trail.", rich_help_panel=_DAILY)
    ] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send phantoms to a running node, compare what comes back with the truth, write a protocol to be signed.

    Exit code 1 where the node is not accepted.
    """
    from xrv_node import settings
    from xrv_node.acceptance import facts, output, run, sending
    from xrv_node.acceptance.compare import COMPARABLE
    from xrv_node.deliver import way
    from xrv_node.deliver.way import Way

    if baseline or daily:
        raise typer.Exit(_constancy(config, (tester, reason) if baseline else None))
    chosen = tuple(kinds or run.KINDS)
    for kind in chosen:
        one_of("--kind", kind, COMPARABLE)
    if "report" not in chosen:
        raise typer.BadParameter("--kind: without the report nobody knows the findings: add --kind report")
    loaded = settings.load(config)
    context = tls_context(use_tls, ca, certificate, key, verify_host=verify_host)
    if named := through or node:
        to = Way(peer("--through" if through else "--node", named), context)
    else:
        to = way.to_itself(loaded, run.CALLING_AE)
    pdf_to = Way(peer("--archive-pdf", archive_pdf), context) if archive_pdf else None
    folder = out or Path("acceptance") / datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    plan = run.Plan(
        way=to,
        short=short,
        kinds=chosen,
        limit_seconds=limit,
        wait_seconds=wait,
        settle_seconds=settle,
        seed=seed,
        tester=tester,
        facts=(lambda: facts.of_node(loaded)) if settings.find(config) else facts.of_here,
    )
    where = archive or through
    with (
        _archive(where, context, folder / "archive", receive_host, receive_port) as back,
        status_line("starting") as told,
    ):
        protocol = run.run(plan, back, folder / "sent", say=told)
    written = output.write(protocol, folder)
    if as_json:
        from xrv_node.acceptance.protocol import plain

        print_json(plain(protocol))
    else:
        show(protocol)
        for path in written:
            say(path)
    if pdf_to:
        sending.to_archive(pdf_to, written[-1], calling_ae=run.CALLING_AE)
    raise typer.Exit(0 if protocol.good else 1)


def _constancy(config: Path | None, accepting: tuple[str, str] | None) -> int:
    """Test the running node's constancy, or accept its answer with who does so and why; the exit code."""
    import threading

    from xrv_node import role_locks, settings
    from xrv_node.cli.console import opened
    from xrv_node.constancy import check
    from xrv_node.errors import ConfigError
    from xrv_node.spool import Spool

    if accepting and not all(accepting):
        raise typer.BadParameter(
            "--baseline needs --tester NAME and --reason TEXT: they stand in the audit trail"
        )
    loaded = settings.load(config)
    if not role_locks.is_serving(loaded.data_dir):
        raise ConfigError(f"no node serves {loaded.data_dir}: start it, it is to answer a phantom")
    outcome: check.Outcome | None
    with opened(config) as store:
        spool = Spool(loaded.data_dir)
        if accepting:
            name, reason = accepting
            outcome = check.accept(loaded, store, spool, name=name, reason=reason)
        else:
            outcome = check.run(loaded, store, spool, threading.Event())
    for why in outcome.amiss if outcome else ():
        say(f"wrong: {why}")
    good = outcome is not None and outcome.good
    if accepting:
        say("accepted: later answers are compared with this one" if good else "not accepted")
    elif good:
        say("all as before")
    return 0 if good else 1


@contextmanager
def _archive(
    where: str | None, context: ssl.SSLContext | None, folder: Path, host: str, port: int
) -> Iterator[Archive]:
    """What is asked, or receives."""
    from xrv_node.acceptance import run
    from xrv_node.acceptance.archive import receiving
    from xrv_node.acceptance.query import Asked, AskedWeb
    from xrv_node.deliver.way import Way

    if where is None:
        with receiving(folder, run.CALLING_AE, host, port) as receiver:
            yield receiver
    elif where.startswith(("http://", "https://")):
        yield AskedWeb(where, context)
    else:
        yield Asked(Way(peer("--archive", where), context), run.CALLING_AE)


def show(protocol: Protocol) -> None:
    """Print a protocol: the cases, then what holds over all of them."""
    from xrv_node.acceptance import wording

    print_table(
        (
            {
                "case": line.name,
                "verdict": line.verdict,
                "arrived": line.arrived,
                "seconds": line.seconds,
                "measured": line.measured,
                "amiss": "; ".join(line.amiss),
            }
            for line in wording.lines(protocol)
        ),
        ["case", "verdict", "arrived", "seconds", "measured", "amiss"],
    )
    for check in protocol.checks:
        say(f"{'pass' if check.good else 'FAIL'}  {check.name}: {check.says}")
    say(wording.verdict(protocol))
    say(wording.WARNING)
