"""``reconstruct``: an autoencoder's view of local images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from xrv_node.cli.networks import FolderOption, PathsArgument, Run, carry_out, runs_network

if TYPE_CHECKING:
    from xrv_node.lab.images.reconstruct import Reconstructed


@runs_network(weights="101-elastic")
def reconstruct(run: Run, paths: PathsArgument, out: FolderOption = Path("reconstructions")) -> None:
    """Show input, an autoencoder's reconstruction and difference as PNG, and say how far they are apart."""
    from xrv_node.lab.images import reconstruct as images

    def keep(result: Reconstructed) -> str:
        file = images.write(result, out)
        return f"mean absolute error {result.mae:.1f} of 2048, SSIM {result.ssim:.3f}, {file}"

    carry_out(
        "reconstructing",
        lambda *watch: images.reconstruct(paths, run.weights, **run.options(*watch)),
        keep,
    )
