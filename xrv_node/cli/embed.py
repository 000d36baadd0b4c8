"""``embed``: feature vectors of local images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xrv_node.cli.console import ConfigOption
from xrv_node.cli.networks import (
    BatchOption,
    CommissioningOption,
    DeviceOption,
    DirOption,
    PathsArgument,
    ResamplerOption,
    carry_out,
    model_directory,
)

if TYPE_CHECKING:
    from xrv_node.lab.images.embed import Embedded


def embed(
    paths: PathsArgument,
    out: Annotated[Path, typer.Option(help="The file: .npz, or .parquet where pyarrow is installed.")],
    weights: Annotated[
        str, typer.Option(help="A classifier or autoencoder, see `models list`.")
    ] = "101-elastic",
    commissioning: CommissioningOption = False,
    resampler: ResamplerOption = "skimage",
    device: DeviceOption = "auto",
    batch: BatchOption = 8,
    directory: DirOption = None,
    config: ConfigOption = None,
) -> None:
    """Turn images into feature vectors, kept in one file with their paths as ids."""
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
        lambda progress: images.embed(
            paths,
            weights,
            directory=model_directory(directory, config),
            device=device,
            batch=batch,
            resampler=resampler,
            commissioning=commissioning,
            progress=progress,
        ),
        keep,
        finish,
    )
