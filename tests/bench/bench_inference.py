"""The networks, against torchxrayvision's own code with the same weights in the same run, in turns.

    python tests/bench/bench_inference.py [--network NAME ...] [--batch 1 8 32] [--device cpu cuda] [--half] [--quick]

Without options: the node's three networks, on the CPU and on the GPU where there is one; of the others
(``--network all``) only plain torch is run. Left out are those whose layout only their files know (the age model,
the VQGANs) and the CheXpert ensemble, which is DenseNets one after the other.

Weights are drawn, which changes no time: the released ones need a download. With random weights the anatomy network
and the autoencoder amplify rounding, so that their differences say less than with trained ones; those of 16 bits say
nothing of trained ones.
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
import untrained

sys.path.append(str(Path(__file__).resolve().parents[1] / "models"))
from parity import at_home, released
from parity_cases import CASES
from recipes import recipe
from untrained import seeded_state

from xrv_node.analyse.benchmark import CHECKS, phantoms
from xrv_node.analyse.engines import ENGINES, PLAIN, available
from xrv_node.models import get_model, inference
from xrv_node.models.architectures import assemble
from xrv_node.models.catalog import find

NODE = {"densenet121-res224-all": "classifier", "chestx_det": "segmenter", "101-elastic": "autoencoder"}
OTHERS = {
    case.name: case
    for case in CASES
    if case.name not in NODE and find(case.name).network not in ("torchscript", "vqgan", "chexpert_ensemble")
}
ROUNDS = {1: 5, 8: 3, 32: 1}
"""By batch: of which the medians are taken. A round of 32 takes minutes on a CPU."""
THEIRS = "torchxrayvision"
COLUMNS = (
    "network",
    "batch",
    "device",
    "run by",
    "images/s",
    "CPU s/image",
    "peak MB",
    "times faster, wall",
    "CPU",
    "largest difference",
    "as counted",
)
Run = Callable[[torch.Tensor], torch.Tensor]


def theirs(name: str, device: str) -> Run:
    """torchxrayvision's module, as a user runs it."""
    with tempfile.TemporaryDirectory() as home:
        if name in OTHERS:
            released(OTHERS[name], "F", Path(home))
            with at_home(Path(home)):
                network = OTHERS[name].theirs()
        elif name == "chestx_det":
            state = {f"module.{key}": value for key, value in seeded_state(find(name)).items()}
            torch.save(state, Path(home, find(name).file))
            network = xrv.baseline_models.chestx_det.PSPNet(cache_dir=home)
        else:
            kind = xrv.models.DenseNet if name in xrv.models.model_urls else xrv.autoencoders.ResNetAE
            network = kind(weights=None)
            network.load_state_dict(seeded_state(find(name)))
    network = network.eval().to(device)

    def run(x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            output = network(x)
        return output["out"] if isinstance(output, dict) else output

    return run


def ours(name: str, engine: str, device: str) -> Run:
    """The node's network as the worker runs it with an engine; another one as ``get_model`` gives it."""
    entry = find(name)
    if name in OTHERS:
        network = get_model(name, state=recipe(entry.network, "F"), device=device, xrv_compatible=True)
        ENGINES[engine].prepare(network)
    else:
        network = ENGINES[engine].prepare(assemble(entry, seeded_state(entry)).to(device))

    def run(x: torch.Tensor) -> torch.Tensor:
        with inference.exact(), ENGINES[engine].precision(device):
            output = network(x.to(memory_format=torch.channels_last))
        return (output[0] if isinstance(output, tuple) else output).float()

    return run


def timed(run: Run, x: torch.Tensor, outputs: dict[str, torch.Tensor], by: str) -> Callable[[], None]:
    """What a round runs; it keeps the output, and waits for a GPU to be done."""

    def once() -> None:
        outputs[by] = run(x)
        if x.is_cuda:
            torch.cuda.synchronize(x.device)

    return once


def made(name: str, by: str, device: str) -> Run:
    return theirs(name, device) if by == THEIRS else ours(name, by, device)


def peak(name: str, by: str, batch: int, device: str) -> float:
    """Peak memory in MB of one run in this process: of the GPU where it runs there, else of the process."""
    size = find(name).input_size
    made(name, by, device)(torch.zeros(batch, 1, size, size, device=device))
    return torch.cuda.max_memory_allocated(device) / 2**20 if "cuda" in device else benching.own_peak()


def compare(name: str, engines: list[str], x: torch.Tensor, rounds: int) -> tuple[list[list[str]], dict]:
    """Rows of the table, and the rounds' seconds."""
    device, batch = str(x.device), len(x)
    outputs: dict[str, torch.Tensor] = {}
    runs = {by: timed(made(name, by, device), x, outputs, by) for by in (THEIRS, *engines)}
    taken = benching.alternate(runs, rounds)
    node = untrained.load_set(*NODE, Path("unused"), device=device) if name in NODE else None
    reference = outputs[THEIRS]
    rows = []
    for by, output in outputs.items():
        counted = CHECKS[NODE[name]].difference(node, reference, output) if node is not None else None
        wall, cpu = benching.medians(taken[by])
        memory = benching.peak(["--peak", name, by, "--batch", str(batch), "--device", device])
        # heads that were not trained are there in torchxrayvision's outputs, always 0.5
        kept = trained(name, reference) if output.shape != reference.shape else reference
        rows.append(
            [
                name,
                str(batch),
                device,
                by,
                f"{batch / wall:.2f}",
                f"{cpu / batch:.3f}",
                f"{memory:.0f}",
                f"{benching.ratio(taken[THEIRS], taken[by], 0):.2f}",
                f"{benching.ratio(taken[THEIRS], taken[by], 1):.2f}",
                f"{(output - kept).abs().max().item():.1e}",
                "" if counted is None else f"{counted:.1e}",
            ]
        )
    return rows, taken


def trained(name: str, outputs: torch.Tensor) -> torch.Tensor:
    return outputs[:, [head for _, head in find(name).trained_heads]]


def together(taken: dict[str, dict], batch: int, device: str) -> list[list[str]]:
    """The three networks on one image after the other: the rounds' sums."""
    first = next(iter(taken.values()))
    sums = {
        by: [
            tuple(map(sum, zip(*rounds, strict=True)))
            for rounds in zip(*(t[by] for t in taken.values()), strict=True)
        ]
        for by in first
    }
    rows = []
    for by in first:
        wall, cpu = benching.medians(sums[by])
        times = [f"{benching.ratio(sums[THEIRS], sums[by], which):.2f}" for which in (0, 1)]
        rows.append(
            [
                "all three",
                str(batch),
                device,
                by,
                f"{batch / wall:.2f}",
                f"{cpu / batch:.3f}",
                "",
                *times,
                "",
                "",
            ]
        )
    return rows


def engines_for(name: str, device: str, options: argparse.Namespace) -> list[str]:
    if name in OTHERS:
        return [PLAIN.name]
    there = [engine for engine in available(device) if options.half or engine.half is None]
    return [engine.name for engine in there if not options.engine or engine.name in options.engine]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", nargs="+", default=[*NODE], choices=[*NODE, *OTHERS, "all"])
    parser.add_argument("--quick", action="store_true", help="one image, 2 rounds")
    parser.add_argument("--batch", type=int, nargs="+", default=[*ROUNDS])
    there = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    parser.add_argument(
        "--device", nargs="+", default=there, help="default: cpu, and cuda where there is one"
    )
    parser.add_argument("--half", action="store_true", help="also the engines that compute in 16 bits")
    parser.add_argument("--engine", nargs="+", help="of the engines only these")
    parser.add_argument("--peak", nargs=2, metavar=("NAME", "BY"), help="print one run's peak memory in MB")
    options = parser.parse_args()
    if options.peak:
        print(peak(*options.peak, options.batch[0], options.device[0]))
        return
    names = [*NODE, *OTHERS] if "all" in options.network else options.network
    print(benching.machine(), end="\n\n")
    rows = []
    for device in options.device:
        for batch in [1] if options.quick else options.batch:
            rounds = 2 if options.quick else ROUNDS.get(batch, 1)
            inputs = phantoms(batch, {find(name).input_size for name in names})
            taken = {}
            for name in names:
                print(f"{name}, {batch}, {device} ...", file=sys.stderr)
                x = inputs[find(name).input_size].to(device)
                more, seconds = compare(name, engines_for(name, device, options), x, rounds)
                rows += more
                if name in NODE:
                    taken[name] = seconds
            rows += together(taken, batch, device) if len(taken) == len(NODE) else []
    benching.table(COLUMNS, rows)


if __name__ == "__main__":
    main()
