"""``validate``: how well a network does on a public dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from xrv_node.cli.console import (
    ConfigOption,
    JsonOption,
    print_document,
    print_table,
    progress_bar,
    say,
    tell,
)
from xrv_node.cli.datasets import CompatibleOption, PartOption, UniqueOption, ViewOption
from xrv_node.cli.networks import (
    CommissioningOption,
    DeviceOption,
    DirOption,
    ResamplerOption,
    RunCodeOption,
    model_directory,
    site_thresholds,
)
from xrv_node.cli.results_back import ReceiveHostOption, ReceivePortOption, WaitOption
from xrv_node.cli.send import peer
from xrv_node.product import NOTICE

_LEFT_OUT = ("empty maps", "outside", "not scored")
_MEASURED, _NODE = "What is measured", "Through a node"


def validate(
    dataset: Annotated[str, typer.Argument(help="As `datasets list` names it.")],
    images: Annotated[Path, typer.Option(help="The folder with the owner's files.")],
    weights: Annotated[
        str | None,
        typer.Option(help="The classifier, see `models list`.", show_default="the configured one"),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="So many images, drawn at random; a larger one goes on from it.")
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes that read images; 0: none.")] = 2,
    batch: Annotated[int, typer.Option(min=1, help="Images that go through the network at a time.")] = 16,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the results.", show_default="validation/DATASET-WEIGHTS"),
    ] = None,
    part: PartOption = None,
    view: ViewOption = None,
    unique_patients: UniqueOption = None,
    xrv_compatible: CompatibleOption = False,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="A score to give rates at beside the operating point, for all findings.",
            rich_help_panel=_MEASURED,
        ),
    ] = None,
    write_thresholds: Annotated[
        str | None,
        typer.Option(
            metavar="RULE",
            help="Write thresholds.toml for the node's configuration: youden, sensitivity_95, "
            "sensitivity_90, specificity_90 or specificity_95.",
            rich_help_panel=_MEASURED,
        ),
    ] = None,
    localise: Annotated[
        bool,
        typer.Option(
            "--localise",
            help="Compare heat maps with the regions that annotators marked.",
            rich_help_panel=_MEASURED,
        ),
    ] = False,
    segment: Annotated[
        bool,
        typer.Option(
            "--segment",
            help="Compare the segmenter's masks of lungs and others with the dataset's.",
            rich_help_panel=_MEASURED,
        ),
    ] = False,
    through_node: Annotated[
        str | None,
        typer.Option(
            metavar="AE@HOST:PORT",
            help="A running node with a destination XRVVALIDATE: the same over the wire, too.",
            rich_help_panel=_NODE,
        ),
    ] = None,
    receive_port: ReceivePortOption = 11113,
    receive_host: ReceiveHostOption = "127.0.0.1",
    wait: WaitOption = 300,
    resampler: ResamplerOption = "skimage",
    device: DeviceOption = "auto",
    run_code: RunCodeOption = False,
    commissioning: CommissioningOption = False,
    directory: DirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score a dataset's images, compare with its labels, write a report.

    The same command goes on where it was stopped, and makes the report anew from scores that are there.
    """
    from xrv_node import settings
    from xrv_node.lab.datasets.catalog import find
    from xrv_node.models import catalog

    configured = settings.load(config).models
    place = model_directory(directory, config)
    dataset = find(dataset).name
    classifier = catalog.find(weights or configured.classifier, directory=place).name
    site = peer("--through-node", through_node) if through_node else None
    phantom = "-phantom" if commissioning else ""
    folder = out or Path("validation") / f"{dataset}-{classifier}{phantom}"
    # torch takes seconds to load: what is wrong with the above is said before, and what is waited for
    tell(f"reading labels, loading networks; results go to {folder}")

    from xrv_node.lab.validate import metrics_json, output_files
    from xrv_node.lab.validate.run import validate as carry_out
    from xrv_node.lab.validate.score_dataset import Plan
    from xrv_node.lab.validate.through_node import Way

    plan = Plan(
        dataset=dataset,
        images=images,
        classifier=classifier,
        segmenter=configured.segmenter,
        autoencoder=configured.autoencoder,
        part=part,
        views=tuple(view) if view else None,
        unique_patients=unique_patients,
        xrv_compatible=xrv_compatible,
        limit=limit,
        resampler=resampler,
        batch=batch,
        workers=workers,
        device=device,
        localise=localise,
        segment=segment,
        commissioning=commissioning,
        run_code=run_code,
        thresholds=tuple(site_thresholds(classifier, place, config).items()),
    )
    try:
        told, written = carry_out(
            plan,
            place,
            folder,
            progress_bar,
            threshold=threshold,
            rule=write_thresholds,
            way=Way(site, wait, receive_host, receive_port) if site else None,
        )
    except KeyboardInterrupt:
        tell(f"stopped: what is scored is kept in {folder}; the same command goes on")
        raise
    if as_json:
        print_document(metrics_json.text(told))
    else:
        _print(told, written)
        if write_thresholds:
            for why, names in output_files.without_threshold(told.evaluation, write_thresholds).items():
                say(f"no threshold: {why}: {', '.join(names)}")
        if localise and not told.localisation:
            say("no image that was scored is marked: no heat map was compared")


def _print(told: Any, written: list[Path]) -> None:
    about = told.about
    if about.commissioning:
        from xrv_node.values import PHANTOM_WORDS

        say(PHANTOM_WORDS)
    network = about.networks[0].rpartition(" ")[0]
    say(f"{about.used} of {about.rows} images scored by {network}: {about.choice}")
    for note in about.notes:
        say(note)
    if told.evaluation.patients is None:
        say(f"patients are {about.patients}")
    for why, count in about.left_out.items():
        say(f"{count} left out: {why}")
    if told.evaluation.findings:
        _print_findings(told)
    if told.localisation:
        print_table(
            [
                {
                    "marked finding": one.finding,
                    "images": one.number,
                    "hits": _shown(one.hits.value),
                    "95 %": _interval(one.hits),
                    "IoU": _shown(one.iou),
                    "energy": _shown(one.energy),
                    "empty maps": one.empty,
                    "outside": one.outside,
                    "not scored": one.not_scored,
                }
                for one in told.localisation
            ],
            ["marked finding", "images", "hits", "95 %", "IoU", "energy", *_LEFT_OUT],
        )
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
    if told.through_node:
        say(told.through_node.difference.words)
        if told.through_node.masks:
            say(told.through_node.masks.words)
    say(NOTICE)
    for path in written:
        say(path)


def _print_findings(told: Any) -> None:
    from xrv_node.lab.validate.verdict import VERDICTS, verdict

    areas = told.published.auc if told.published else {}
    print_table(
        [
            {
                "finding": f.finding,
                "with it": f"{f.positives} of {f.number}",
                "AUC": _shown(f.auc.value),
                "95 %": _interval(f.auc),
                "published": areas.get(f.finding),
                "here": VERDICTS[verdict(f)].partition(":")[0],
            }
            for f in told.evaluation.findings
        ],
        ["finding", "with it", "AUC", "95 %", *(["published"] if areas else []), "here"],
    )


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _interval(estimate: Any) -> str:
    return "" if estimate.low is None else f"{_shown(estimate.low)} to {_shown(estimate.high)}"
