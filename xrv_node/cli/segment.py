"""``segment``: structures in local images."""

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
    WeightsOption,
    carry_out,
    model_directory,
)

if TYPE_CHECKING:
    from xrv_node.lab.images.segment import Segmented


def segment(
    paths: PathsArgument,
    out: FolderOption = Path("segmentations"),
    weights: WeightsOption = "chestx_det",
    structure: Annotated[
        list[str] | None, typer.Option(help="Only this structure; may be repeated.", show_default="all")
    ] = None,
    seg: Annotated[bool, typer.Option("--seg", help="A DICOM Segmentation too, for DICOM images.")] = False,
    commissioning: CommissioningOption = False,
    resampler: ResamplerOption = "skimage",
    device: DeviceOption = "auto",
    batch: BatchOption = 1,
    directory: DirOption = None,
    config: ConfigOption = None,
) -> None:
    """Outline anatomy: for each image an overlay and a mask of each structure, as PNG."""
    from xrv_node.lab.images import segment as images

    def keep(result: Segmented) -> str:
        files = images.write(result, out, structure or (), seg=seg)
        found = sum(bool(mask.any()) for mask in result.masks)
        return f"{found} of {len(result.masks)} structures, in {files[0].parent}"

    carry_out(
        "segmenting",
        lambda progress: images.segment(
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
