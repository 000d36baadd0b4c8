"""``models fit-gate`` and ``models fit-mismatch``: limits from a site's own images."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xrv_node.cli.console import ConfigOption, JsonOption, print_json, print_table, progress_bar, say, tell
from xrv_node.cli.networks import DirOption, model_directory
from xrv_node.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from xrv_node.cli.network_documents import LeftOut, MismatchLimit
    from xrv_node.lab.images.files import Unread

QuantileOption = Annotated[float, typer.Option(help="The part of such images that passes each limit.")]


def fit_gate(
    folder: Annotated[Path, typer.Argument(help="Adult, frontal chest radiographs of this site.")],
    quantile: QuantileOption = 0.99,
    config: ConfigOption = None,
    directory: DirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fit the limits beyond which an image is too unlike the site's own to be answered."""
    from statistics import median

    from xrv_node import settings
    from xrv_node.analyse import gate
    from xrv_node.lab.images import fit_gate as fitting
    from xrv_node.lab.images.files import listed
    from xrv_node.models import load_set, model_dir

    chosen, place = settings.load(config).models, model_directory(directory, config)
    networks = load_set(*chosen.names, place, device=chosen.device)
    model_dir.make_ready(place)
    sources, missing = listed(folder)
    with progress_bar("reconstructing") as show:
        fitted = fitting.fit(networks, sources, quantile, show)
    file = gate.save(fitted.limits, place, networks.identity)
    left_out = [*missing, *fitted.left_out]
    if as_json:
        report = asdict(fitted.limits) | {
            "file": file,
            "left_out": _listed(left_out),
        }
        print_json(report)
        return
    _tell(left_out)
    limits = fitted.limits
    columns = ["measure", "median", "limit"]
    rows = [
        ("reconstruction error", f"{median(fitted.errors):.1f}", f"at most {limits.error:.1f}"),
        ("structural similarity", f"{median(fitted.similarities):.3f}", f"at least {limits.ssim:.3f}"),
    ]
    print_table([dict(zip(columns, row, strict=True)) for row in rows], columns)
    say(f"fitted on {limits.images} images: {file}. A worker uses it from its next start.")


def fit_mismatch(
    folder: Annotated[Path, typer.Argument(help="DICOM files of this site, whose headers are right.")],
    quantile: QuantileOption = 0.99,
    config: ConfigOption = None,
    directory: DirOption = None,
    run_code: Annotated[
        bool, typer.Option("--run-code", help="Let the age network run, a program of its file.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Fit the limits beyond which an image does not look like the sex, age or view of its header."""
    from statistics import median

    from xrv_node import models, settings
    from xrv_node.analyse import checks, gate
    from xrv_node.lab.images import fit_mismatch as fitting
    from xrv_node.lab.images.files import listed
    from xrv_node.models.device import resolve_device

    gate.check_quantile(quantile)
    chosen, place = settings.load(config).models, model_directory(directory, config)
    missing = models.missing(chosen.attributes.values(), place)
    there = {name: network for name, network in chosen.attributes.items() if network not in missing}
    run_code = run_code or chosen.mismatch.run_code
    if "age" in there and not run_code:
        del there["age"]
        tell("age is left out: its network is a program, which runs with --run-code only")
    if missing:
        tell(f"no weights of {', '.join(missing)}: `xrv-node models pull {' '.join(missing)}`")
    if not there:
        raise ConfigError("there is no network to ask: get the weights of one first")
    device = resolve_device(chosen.device)
    asked = {name: checks.load(name, one, place, device, run_code=run_code) for name, one in there.items()}
    sources, absent = listed(folder)
    with progress_bar("looking") as show:
        measured = fitting.measure(asked, sources, show)
    left_out = [*absent, *measured.left_out]
    fitted: dict[str, MismatchLimit] = {
        name: {
            "images": len(found.off),
            "median": median(off for off, _ in found.off),
            "limit": (limit := found.limit(quantile)),
            "beyond": [source.path for source in found.beyond(limit)],
        }
        for name, found in measured.distances.items()
        if found.off
    }
    if as_json:
        print_json({"quantile": quantile, "limits": fitted, "left_out": _listed(left_out)})
        return
    _tell(left_out)
    if not fitted:
        raise ConfigError(f"no header in {folder} tells what a network could be held against")
    shown = [
        {"attribute": name, "images": one["images"], "median": f"{one['median']:.1f}", "limit": one["limit"]}
        for name, one in fitted.items()
    ]
    print_table(shown, ["attribute", "images", "median", "limit"])
    for name, one in fitted.items():
        for path in one["beyond"]:
            say(f"beyond the limit of {name}, is it the right patient's? {path}")
    say("for the node's configuration:", "[models.mismatch]")
    for name, one in fitted.items():
        say(f"{name} = {one['limit']}")
    if "age" in fitted:
        say("run_code = true")


def _listed(left_out: Iterable[Unread]) -> list[LeftOut]:
    return [{"path": unread.path, "why": str(unread.why)} for unread in left_out]


def _tell(left_out: Iterable[Unread]) -> None:
    for unread in left_out:
        tell(f"{unread.path}: left out: {unread.why}")
