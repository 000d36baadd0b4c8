"""``validate``: how well a network does on a public dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from xrv_node.cli.console import ConfigOption, JsonOption, print_json, print_table
from xrv_node.cli.datasets import CompatibleOption, PartOption, UniqueOption, ViewOption
from xrv_node.cli.networks import (
    CommissioningOption,
    DeviceOption,
    DirOption,
    ResamplerOption,
    model_directory,
    progress_bar,
    site_thresholds,
)
from xrv_node.cli.send import peer


def validate(
    dataset: Annotated[str, typer.Argument(help="As `datasets list` names it.")],
    images: Annotated[Path, typer.Option(help="The folder with the owner's files.")],
    weights: Annotated[
        str | None, typer.Option(help="The classifier, see `models list`. [default: the configured one]")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="So many images, drawn at random; a larger one goes on from it.")
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes that read images; 0: none.")] = 2,
    batch: Annotated[int, typer.Option(min=1, help="Images that go through the network at a time.")] = 16,
    out: Annotated[
        Path | None, typer.Option(help="For the results. [default: validation/DATASET-WEIGHTS]")
    ] = None,
    part: PartOption = None,
    view: ViewOption = None,
    unique_patients: UniqueOption = None,
    xrv_compatible: CompatibleOption = False,
    threshold: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="A score to report rates at beside the operating point."),
    ] = None,
    thresholds: Annotated[
        str | None, typer.Option(help="Write thresholds.toml by this rule: youden, sensitivity_95 ...")
    ] = None,
    localise: Annotated[
        bool, typer.Option("--localise", help="Compare heat maps with what annotators marked.")
    ] = False,
    segment: Annotated[
        bool,
        typer.Option("--segment", help="Compare the segmenter's masks of lungs ... with the dataset's."),
    ] = False,
    through_node: Annotated[
        str | None, typer.Option(help="A running node as AE@host:port: the same over the wire, too.")
    ] = None,
    receive_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Where it sends its results: a destination XRVVALIDATE.")
    ] = 11113,
    receive_host: Annotated[str, typer.Option(help="Address to listen on for them.")] = "127.0.0.1",
    wait: Annotated[
        float, typer.Option(min=1, help="Seconds without any result after which the node is given up.")
    ] = 300,
    resampler: ResamplerOption = "skimage",
    device: DeviceOption = "auto",
    run_code: Annotated[
        bool, typer.Option("--run-code", help="Allow weights that are a program; only where you trust them.")
    ] = False,
    commissioning: CommissioningOption = False,
    directory: DirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score a dataset's images, compare with its labels, write a report. It goes on where it was stopped."""
    from xrv_node import settings
    from xrv_node.datasets.catalog import find
    from xrv_node.validate import report
    from xrv_node.validate.run import Plan
    from xrv_node.validate.through_node import Way
    from xrv_node.validate.validation import Receiver
    from xrv_node.validate.validation import validate as carry_out

    configured = settings.load(config).models
    place = model_directory(directory, config)
    plan = Plan(
        find(dataset).name,
        images,
        weights or configured.classifier,
        configured.segmenter,
        configured.autoencoder,
        part,
        tuple(view) if view else None,
        unique_patients,
        xrv_compatible,
        limit,
        resampler,
        batch,
        workers,
        device,
        localise,
        segment,
        commissioning,
        run_code,
        tuple(site_thresholds(weights or configured.classifier, place, config).items()),
    )
    told, written = carry_out(
        plan,
        place,
        out or Path("validation") / f"{plan.dataset}-{plan.classifier}",
        progress_bar,
        threshold=threshold,
        rule=thresholds,
        way=Way(peer("--through-node", through_node), wait) if through_node else None,
        receiver=Receiver(receive_host, receive_port),
    )
    if as_json:
        print_json(report.as_json(told))
    else:
        _print(told, written)


def _print(told: Any, written: list[Path]) -> None:
    if told.evaluation.findings:
        _print_findings(told)
    if told.structures:
        print_table(
            [
                {
                    "structure": f.structure,
                    "images": f.number,
                    "Dice": _shown(f.mean_dice.value),
                    "95 %": _interval(f.mean_dice),
                    "IoU": _shown(f.mean_iou.value),
                }
                for f in told.structures
            ],
            ["structure", "images", "Dice", "95 %", "IoU"],
        )
    about = told.about
    print(f"{about.used} of {about.rows} images scored by {about.networks[0].rpartition(' ')[0]}")
    for why, count in about.left_out.items():
        print(f"{count} left out: {why}")
    print("Research software, not a medical device.")
    if about.commissioning:
        from xrv_node.report.summary import COMMISSIONING

        print(COMMISSIONING)
    if told.through_node:
        print(told.through_node.difference.words)
    for path in written:
        print(path)


def _print_findings(told: Any) -> None:
    areas = told.published.auc if told.published else {}
    print_table(
        [
            {
                "finding": f.finding,
                "images": f.number,
                "with it": f.positives,
                "AUC": _shown(f.auc.value),
                "95 %": _interval(f.auc) or f.why_not,
                "published": areas.get(f.finding),
            }
            for f in told.evaluation.findings
        ],
        ["finding", "images", "with it", "AUC", "95 %", *(["published"] if areas else [])],
    )


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _interval(estimate: Any) -> str:
    return "" if estimate.low is None else f"{_shown(estimate.low)} to {_shown(estimate.high)}"
