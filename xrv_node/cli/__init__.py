"""The command line: one file a group of commands. Parse, call, print; no logic lives here.

Nothing heavy is imported before a command runs, so that ``xrv-node --help`` answers at once.
"""

from __future__ import annotations

import os
import sys
import warnings

import typer

from xrv_node.cli import (
    alerts,
    archives,
    audit,
    config,
    datasets,
    destinations,
    fetch,
    index,
    jobs,
    models,
    monitor,
    node,
    phantom,
    studies,
    tokens,
    users,
)
from xrv_node.cli.acceptance import acceptance
from xrv_node.cli.classify import classify
from xrv_node.cli.console import complain, say, tell
from xrv_node.cli.demo import demo
from xrv_node.cli.doctor import doctor
from xrv_node.cli.embed import embed
from xrv_node.cli.explain import explain
from xrv_node.cli.export import export
from xrv_node.cli.reconstruct import reconstruct
from xrv_node.cli.segment import segment
from xrv_node.cli.send import send
from xrv_node.cli.statistics import statistics
from xrv_node.cli.train import train
from xrv_node.cli.validate import validate
from xrv_node.errors import XrvNodeError, XrvNodeWarning
from xrv_node.product import VERSION

app = typer.Typer(
    name="xrv-node",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="A DICOM node for chest radiographs: TorchXRayVision findings as Structured Reports and "
    "segmentations. Research software, not a medical device.",
)
app.command()(node.serve)
app.command()(config.init)
app.command()(node.status)
app.command()(doctor)
app.command()(send)
app.command()(demo)
app.command()(acceptance)
app.command()(statistics)
app.command()(export)
for command in (classify, segment, explain, embed, reconstruct, validate, train):
    app.command()(command)
for group in (
    *(config, jobs, studies, index, audit, models, destinations, archives, fetch),
    *(alerts, datasets, monitor, phantom, users, tokens),
):
    app.add_typer(group.app, name=group.__name__.rpartition(".")[2])


def _version(wanted: bool) -> None:
    if wanted:
        say(f"xrv-node {VERSION}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print it."),
) -> None:
    pass


THREADS = {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": "1"}
"""For torch and numpy, which read them when they are loaded. Their threads spin while they wait, which a
machine that also receives and reports cannot spare: beside one busy core an image took two to four times as
long."""


LAB = {"pandas", "scipy", "sklearn", "matplotlib"}
"""What the extra ``lab`` installs: a hospital's node neither has it nor needs it."""


def _quieten() -> None:
    """Have libraries keep their warnings to themselves, which name no file, and tell ours in a line each."""
    if sys.warnoptions:  # somebody wants to see them
        return
    warnings.simplefilter("ignore")
    warnings.simplefilter("default", XrvNodeWarning)
    warnings.showwarning = lambda message, *_, **__: tell(f"warning: {message}")


def _misused(error: typer.TyperException) -> str:
    """What is wrong with the words of a command, and which command shows those that there are; empty where
    there were none, and the help was shown."""
    says, context = " ".join(error.format_message().split()), getattr(error, "ctx", None)
    return f"{says.rstrip('.')}; see `{context.command_path} --help`" if context and says else says


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 it did not succeed, 2 something you gave it is wrong."""
    for variable, value in THREADS.items():
        os.environ.setdefault(variable, value)
    _quieten()
    try:
        sys.exit(app(standalone_mode=False))
    except XrvNodeError as error:
        complain(error)
        sys.exit(2)
    except typer.TyperException as error:
        if says := _misused(error):
            complain(says)
        sys.exit(2)
    except typer.Abort:
        tell("stopped: nothing was done")
        sys.exit(1)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in LAB:
            raise
        complain(f"this command needs {error.name}: pip install 'xrv-node[lab]'")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
