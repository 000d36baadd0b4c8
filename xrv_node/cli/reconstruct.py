"""``reconstruct``: an autoencoder's view of local images."""

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
    FolderOption,
    PathsArgument,
    ResamplerOption,
    carry_out,
    model_directory,
)

if TYPE_CHECKING:
    from xrv_node.lab.images.reconstruct import Reconstructed


def reconstruct(
    paths: PathsArgument,
    out: FolderOption = Path("reconstructions"),
    weights: Annotated[str, typer.Option(help="An autoencoder, see `models list`.")] = "101-elastic",
    commissioning: CommissioningOption = False,
    resampler: ResamplerOption = "skimage",
    device: DeviceOption = "auto",
    batch: BatchOption = 8,
    directory: DirOption = None,
    config: ConfigOption = None,
) -> None:
    """Show input, reconstruction and difference as PNG, and say how far they are apart."""
    from xrv_node.lab.images import reconstruct as images

    def keep(result: Reconstructed) -> str:
        file = images.write(result, out)
        return f"mean absolute error {result.mae:.1f} of 2048, SSIM {result.ssim:.3f}, {file}"

    carry_out(
        "reconstructing",
        lambda progress: images.reconstruct(
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
    )
