"""``segment``: structures in local images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xrv_node.cli.networks import FolderOption, PathsArgument, Run, carry_out, runs_network

if TYPE_CHECKING:
    from xrv_node.lab.images.segment import Segmented


@runs_network(weights="chestx_det", batch=1)
def segment(
    run: Run,
    paths: PathsArgument,
    out: FolderOption = Path("segmentations"),
    structure: Annotated[
        list[str] | None, typer.Option(help="Only this structure; may be repeated.", show_default="all")
    ] = None,
    seg: Annotated[bool, typer.Option("--seg", help="A DICOM Segmentation too, for DICOM images.")] = False,
) -> None:
    """Outline anatomy: for each image an overlay and a mask of each structure, as PNG."""
    from xrv_node.lab.images import segment as images

    def keep(result: Segmented) -> str:
        files = images.write(result, out, structure or (), seg=seg)
        found = sum(bool(mask.any()) for mask in result.masks)
        return f"{found} of {len(result.masks)} structures, in {files[0].parent}"

    carry_out(
        "segmenting",
        lambda *watch: images.segment(paths, run.weights, **run.options(*watch)),
        keep,
    )
