"""``index``: what is searched over HTTP."""

from __future__ import annotations

import typer

from xrv_node.cli.console import ConfigOption, JsonOption, opened, print_json, progress_bar, say
from xrv_node.cli.documents import Rebuilt

app = typer.Typer(help="Look after what is searched over HTTP.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


@app.command()
def rebuild(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Make the index anew from the record and the spool; the node may run meanwhile."""
    from contextlib import closing

    from xrv_node import log, settings
    from xrv_node.index import compare, follow
    from xrv_node.index.index import Index
    from xrv_node.spool import Spool

    loaded = settings.load(config)
    log.configure(loaded.log, "index")
    with opened(config) as store, closing(Index.open(loaded)) as index:
        with progress_bar("reading headers of studies") as told:
            follow.rebuild(index, store, Spool(loaded.data_dir), told)
        made = Rebuilt(objects=compare.with_record(index, store).objects)
    if as_json:
        print_json(made)
    else:
        say(f"{made['objects']} objects are in the index")
