"""``explain``: heat maps of local images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xrv_node.cli.console import ConfigOption
from xrv_node.cli.networks import (
    BatchOption,
    CommissioningOption,
    CompatibleOption,
    DeviceOption,
    DirOption,
    FolderOption,
    PathsArgument,
    ResamplerOption,
    WeightsOption,
    carry_out,
    model_directory,
    site_thresholds,
)

if TYPE_CHECKING:
    from xrv_node.lab.images.explain import Explained


def explain(
    paths: PathsArgument,
    finding: Annotated[
        list[str] | None,
        typer.Option(help="A finding; may be repeated.", show_default="those at or over the operating point"),
    ] = None,
    method: Annotated[
        str, typer.Option(help="gradcam, guided (Grad-CAM) or gradient (torchxrayvision's map).")
    ] = "gradcam",
    out: FolderOption = Path("explanations"),
    weights: WeightsOption = "densenet121-res224-all",
    commissioning: CommissioningOption = False,
    xrv_compatible: CompatibleOption = False,
    resampler: ResamplerOption = "skimage",
    device: DeviceOption = "auto",
    batch: BatchOption = 1,
    directory: DirOption = None,
    config: ConfigOption = None,
) -> None:
    """Show where scores come from: a heat map for each finding as PNG, and the numbers as .npz."""
    from xrv_node.lab.images import explain as images

    place = model_directory(directory, config)

    def keep(result: Explained) -> str:
        files = images.write(result, out)
        return f"{', '.join(result.findings)}, in {files[0].parent}"

    carry_out(
        "explaining",
        lambda progress: images.explain(
            paths,
            finding or (),
            weights,
            method=method,
            xrv_compatible=xrv_compatible,
            directory=place,
            thresholds=site_thresholds(weights, place, config),
            device=device,
            batch=batch,
            resampler=resampler,
            commissioning=commissioning,
            progress=progress,
        ),
        keep,
    )
