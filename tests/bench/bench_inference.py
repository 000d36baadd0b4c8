"""The node's networks, against torchxrayvision's own modules with the same weights, in turns.

    python tests/bench/bench_inference.py [--quick] [--batch 1 8 32] [--device cpu] [--bf16]

Weights are seeded, which changes no time: the released ones need a download. With random weights the anatomy
network and the autoencoder amplify rounding, so that their differences say less than with trained ones; those of
bfloat16 say nothing of trained ones.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import benching
import torch
import torchxrayvision as xrv

from xrv_node.analyse.benchmark import CHECKS, SIZES, phantoms
from xrv_node.analyse.engines import ENGINES
from xrv_node.models import load_set
from xrv_node.models.architectures import assemble
from xrv_node.models.catalog import find
from xrv_node.models.commissioning import seeded_state

NAMES = {"classifier": "densenet121-res224-all", "segmenter": "chestx_det", "autoencoder": "101-elastic"}
THEIRS = "torchxrayvision"
Run = Callable[[torch.Tensor], torch.Tensor]


def theirs(role: str, device: str) -> Run:
    """torchxrayvision's module with the node's seeded weights, as a user runs it."""
    entry = find(NAMES[role])
    state = seeded_state(entry)
    if role == "segmenter":
        with tempfile.TemporaryDirectory() as folder:
            torch.save({f"module.{key}": value for key, value in state.items()}, Path(folder, entry.file))
            network = xrv.baseline_models.chestx_det.PSPNet(cache_dir=folder)
    else:
        network = xrv.models.DenseNet(weights=None) if role == "classifier" else xrv.autoencoders.ResNetAE()
        network.load_state_dict(state)
    network = network.eval().to(device)

    def run(x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            output = network(x)
        return output["out"] if isinstance(output, dict) else output

    return run


def ours(role: str, engine: str, device: str) -> Run:
    """The node's network as the worker runs it with an engine."""
    entry = find(NAMES[role])
    network = ENGINES[engine].prepare(assemble(entry, seeded_state(entry)).to(device))

    def run(x: torch.Tensor) -> torch.Tensor:
        exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
        with torch.inference_mode(), exact, ENGINES[engine].precision(device):
            output = network(x.to(memory_format=torch.channels_last))
        return (output[0] if isinstance(output, tuple) else output).float()

    return run


def synchronised(run: Run, x: torch.Tensor) -> Callable[[], torch.Tensor]:
    def timed() -> torch.Tensor:
        output = run(x)
        if x.is_cuda:
            torch.cuda.synchronize()
        return output

    return timed


def made(role: str, name: str, device: str) -> Run:
    return theirs(role, device) if name == THEIRS else ours(role, name, device)


def compare(role: str, names: list[str], x: torch.Tensor, rounds: int) -> tuple[list[list[str]], dict]:
    """Rows of the table, and the rounds' seconds."""
    device = str(x.device)
    runs = {name: synchronised(made(role, name, device), x) for name in names}
    networks = load_set(*NAMES.values(), Path("unused"), commissioning=True, device=device)
    outputs = {name: run() for name, run in runs.items()}
    taken = benching.alternate(runs, rounds)
    rows = []
    for name in names:
        wall, cpu = benching.medians(taken[name])
        difference = (outputs[name] - outputs[THEIRS]).abs().max().item()
        checked = CHECKS[role].difference(networks, outputs[THEIRS], outputs[name])
        memory = benching.peak(["--peak", role, name, "--batch", str(len(x)), "--device", device])
        rows.append(
            [
                role,
                str(len(x)),
                name,
                f"{len(x) / wall:.2f}",
                f"{cpu / len(x):.3f}",
                f"{memory:.0f}",
                f"{benching.ratio(taken[THEIRS], taken[name], 0):.2f}",
                f"{benching.ratio(taken[THEIRS], taken[name], 1):.2f}",
                f"{difference:.1e}",
                f"{checked:.1e}",
            ]
        )
    return rows, taken


def together(taken: dict[str, dict], names: list[str], batch: int) -> list[list[str]]:
    """The three networks on one image after the other: the rounds' sums."""
    sums = {
        name: [
            tuple(map(sum, zip(*rounds, strict=True)))
            for rounds in zip(*(t[name] for t in taken.values()), strict=True)
        ]
        for name in names
    }
    rows = []
    for name in names:
        wall, cpu = benching.medians(sums[name])
        slower, slower_cpu = (benching.ratio(sums[THEIRS], sums[name], which) for which in (0, 1))
        rows.append(
            [
                "all three",
                str(batch),
                name,
                f"{batch / wall:.2f}",
                f"{cpu / batch:.3f}",
                "",
                f"{slower:.2f}",
                f"{slower_cpu:.2f}",
                "",
                "",
            ]
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one image, 2 rounds")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--bf16", action="store_true", help="also the engine that rounds")
    parser.add_argument(
        "--peak", nargs=2, metavar=("NETWORK", "NAME"), help="print one run's peak memory in MB"
    )
    options = parser.parse_args()
    if options.peak:
        role, name = options.peak
        size = SIZES[role]
        made(role, name, options.device)(torch.zeros(options.batch[0], 1, size, size, device=options.device))
        print(benching.own_peak())
        return
    kind = options.device.partition(":")[0]
    engines = [e for e in ENGINES.values() if kind in e.devices and (options.bf16 or not e.half)]
    names = [THEIRS, *(engine.name for engine in engines)]
    print(benching.machine(), end="\n\n")
    rows = []
    for batch in [1] if options.quick else options.batch:
        inputs, taken = phantoms(batch), {}
        for role in CHECKS:
            print(f"{role}, {batch} ...", file=sys.stderr)
            x = inputs[SIZES[role]].to(options.device)
            more, taken[role] = compare(role, names, x, 2 if options.quick else 5 if batch == 1 else 3)
            rows += more
        rows += together(taken, names, batch)
    benching.table(
        [
            "network",
            "batch",
            "run by",
            "images/s",
            "CPU s/image",
            "peak MB",
            "times faster, wall",
            "CPU",
            "largest difference",
            "as `models benchmark` counts it",
        ],
        rows,
    )


if __name__ == "__main__":
    main()
