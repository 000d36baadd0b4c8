"""``explain``: heat maps of local images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xrv_node.cli.networks import (
    CompatibleOption,
    FolderOption,
    PathsArgument,
    Run,
    carry_out,
    runs_network,
)

if TYPE_CHECKING:
    from xrv_node.lab.images.explain import Explained


@runs_network(weights="densenet121-res224-all", batch=1)
def explain(
    run: Run,
    paths: PathsArgument,
    finding: Annotated[
        list[str] | None,
        typer.Option(help="A finding; may be repeated.", show_default="those at or over the operating point"),
    ] = None,
    method: Annotated[
        str, typer.Option(help="gradcam, guided (Grad-CAM) or gradient (torchxrayvision's map).")
    ] = "gradcam",
    out: FolderOption = Path("explanations"),
    xrv_compatible: CompatibleOption = False,
) -> None:
    """Show where scores come from: a heat map for each finding as PNG, and the numbers as .npz."""
    from xrv_node.lab.images import explain as images

    def keep(result: Explained) -> str:
        files = images.write(result, out)
        return f"{', '.join(result.findings)}, in {files[0].parent}"

    carry_out(
        "explaining",
        lambda *watch: images.explain(
            paths,
            finding or (),
            run.weights,
            method=method,
            xrv_compatible=xrv_compatible,
            thresholds=run.thresholds,
            **run.options(*watch),
        ),
        keep,
    )
