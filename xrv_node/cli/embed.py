"""``embed``: feature vectors of local images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xrv_node.cli.networks import PathsArgument, Run, carry_out, runs_network

if TYPE_CHECKING:
    from xrv_node.lab.images.embed import Embedded


@runs_network(weights="101-elastic")
def embed(
    paths: PathsArgument,
    out: Annotated[Path, typer.Option(help="The file: .npz, or .parquet where pyarrow is installed.")],
    run: Run,
) -> None:
    """Turn images into feature vectors of a classifier or autoencoder: one file, with paths as ids."""
    from xrv_node.lab.images import embed as images

    images.check(out)
    results: list[Embedded] = []

    def keep(result: Embedded) -> str:
        results.append(result)
        return f"{len(result.features)} features"

    def finish() -> None:
        if results:
            images.write(results, out)

    carry_out(
        "embedding",
        lambda *watch: images.embed(paths, run.weights, **run.options(*watch)),
        keep,
        finish,
    )
