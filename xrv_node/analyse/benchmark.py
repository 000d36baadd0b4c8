"""Which engine runs each network fastest on this machine, and still gives its numbers.

Measured on the machine and with the weights that serve; ``engine_choice`` keeps what comes out. An engine
that breaks or leaves its tolerance is not chosen: plain torch is what is left then.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor

from xrv_node.analyse.engines import ENGINES, PLAIN, Engine, available
from xrv_node.models import NodeNetworks, inference
from xrv_node.models.model import Autoencoder, Classifier, Model, Segmenter
from xrv_node.phantom.phantom import WHITE, make
from xrv_node.radiograph.image import Radiograph
from xrv_node.radiograph.prepare import prepare_all
from xrv_node.values import SetRole


@dataclass(frozen=True, slots=True)
class Check:
    """How two outputs of one network are compared."""

    measure: str
    output: Callable[[Any, Tensor], Tensor]
    """Of the network and its input: what is compared."""
    difference: Callable[[NodeNetworks, Tensor, Tensor], float]
    """Of an engine's output from plain torch's."""
    exact: float
    """What an engine in float32 may differ by."""
    half: float
    """What one in 16 bits may differ by."""


@dataclass(frozen=True, slots=True)
class Timing:
    """One engine under one network."""

    role: SetRole
    engine: str
    milliseconds: float
    """Wall clock, an image, median; NaN where the engine does not work."""
    cpu_milliseconds: float
    """Processor time, all threads."""
    difference: float
    measure: str
    tolerance: float
    speed: float
    """Against plain torch: the median of the rounds' ratios."""
    chosen: bool = False
    failure: str | None = None


def _scores(networks: NodeNetworks, one: Tensor, other: Tensor) -> float:
    scores = networks.classifier.scores
    return float((scores(one) - scores(other)).abs().max())


def _overlap(_: NodeNetworks, one: Tensor, other: Tensor) -> float:
    a, b = one > 0, other > 0
    both = int(a.sum() + b.sum())
    return 1 - 2 * int((a & b).sum()) / both if both else 0.0


def _relative(_: NodeNetworks, one: Tensor, other: Tensor) -> float:
    return float(((one - other).abs().mean() / one.abs().mean()).cpu())


CHECKS: dict[SetRole, Check] = {
    "classifier": Check("largest difference of scores", Classifier.logits, _scores, exact=1e-5, half=1e-2),
    "segmenter": Check("1 - Dice of all masks", Segmenter.forward, _overlap, exact=1e-4, half=5e-3),
    "autoencoder": Check(
        "relative difference of reconstructions", Autoencoder.rebuilt, _relative, exact=1e-4, half=1e-2
    ),
}
"""By role. Scores are what is reported, so they have the tightest bound."""


def phantoms(count: int, sizes: Iterable[int]) -> dict[int, Tensor]:
    """Return phantoms of one person in both views to measure on, by side, ``[count, 1, side, side]``."""
    sides = sorted(set(sizes))
    made = [make(k, view=("PA", "AP")[k % 2], rows=sides[-1], person=0) for k in range(count)]
    drawn = [Radiograph(phantom.pixels, 0, WHITE) for phantom in made]
    inputs = [prepare_all(image, sides) for image in drawn]
    return {size: torch.stack([torch.from_numpy(i[size]) for i in inputs])[:, None] for size in inputs[0]}


def measure(
    networks: NodeNetworks,
    images: Mapping[int, Tensor],
    *,
    half: bool = False,
    rounds: int = 5,
    engines: Sequence[Engine] | None = None,
) -> Iterator[Timing]:
    """Time every engine under each network, in turns, so that a busy moment meets all of them.

    Parameters
    ----------
    networks
        As ``models.load_set`` returns them; copied, not changed.
    images
        By side, ``[B, 1, side, side]`` in [-1024, 1024], for the sizes that the networks take.
    half
        Whether one that rounds may be chosen.
    rounds
        Of which the medians are taken, after one that is not counted.
    engines
        To compare, plain torch first; None for all that there are for the device.

    Yields
    ------
    Timing
        Of each engine under each network; exactly one per network is chosen.
    """
    for role, check in CHECKS.items():
        network: Model = getattr(networks, role)
        own = images[network.size].to(networks.device, memory_format=torch.channels_last)
        runs: dict[str, Callable[[], Tensor]] = {}
        outputs, failures = dict[str, Tensor](), dict[str, str]()
        for engine in engines or available(networks.device):
            if reason := engine.declines(networks.device):
                failures[engine.name] = reason
                continue
            try:
                runs[engine.name] = _run(engine, check, copy.deepcopy(network), own, networks.device)
                outputs[engine.name] = runs[engine.name]()
            except Exception as error:  # an engine is an attempt: whatever it raises, plain torch is there
                if engine is PLAIN:
                    raise
                runs.pop(engine.name, None)
                failures[engine.name] = f"{type(error).__name__}: {error}".splitlines()[0][:120]
        timings = _timings(networks, role, check, outputs, _seconds(runs, rounds, networks.device), len(own))
        fastest = _fastest(timings, half=half)
        for timing in timings:
            yield Timing(**(asdict(timing) | {"chosen": timing.engine == fastest}))
        nan = float("nan")
        for name, failure in failures.items():
            yield Timing(role, name, nan, nan, nan, check.measure, nan, nan, failure=failure)


def _run(engine: Engine, check: Check, model: Model, images: Tensor, device: str) -> Callable[[], Tensor]:
    engine.prepare(model.network)

    def run() -> Tensor:
        with inference.exact(), engine.precision(device):
            return check.output(model, images).float()

    return run


def _seconds(
    runs: Mapping[str, Callable[[], Tensor]], rounds: int, device: str
) -> dict[str, list[tuple[float, float]]]:
    """Wall and processor time of each run, in turns."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            if device.startswith("cuda"):
                torch.cuda.synchronize(device)
            if number:
                taken[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return taken


def _timings(
    networks: NodeNetworks,
    role: SetRole,
    check: Check,
    outputs: Mapping[str, Tensor],
    seconds: Mapping[str, Sequence[tuple[float, float]]],
    images: int,
) -> list[Timing]:
    plain = seconds[PLAIN.name]
    return [
        Timing(
            role=role,
            engine=name,
            milliseconds=median(wall for wall, _ in taken) * 1000 / images,
            cpu_milliseconds=median(cpu for _, cpu in taken) * 1000 / images,
            difference=check.difference(networks, outputs[PLAIN.name], outputs[name]),
            measure=check.measure,
            tolerance=check.half if ENGINES[name].half else check.exact,
            speed=median(one[0] / other[0] for one, other in zip(plain, taken, strict=True)),
        )
        for name, taken in seconds.items()
    ]


def _fastest(timings: Sequence[Timing], *, half: bool) -> str:
    fit = [
        t
        for t in timings
        if t.difference <= t.tolerance and (half or not ENGINES[t.engine].half)  # false for NaN too
    ]
    return max(fit, key=lambda t: t.speed, default=timings[0]).engine


def row(timing: Timing) -> dict[str, str]:
    """A timing as a line of a table."""
    if timing.failure:
        return {"network": timing.role, "engine": timing.engine, "chosen": f"does not work: {timing.failure}"}
    return {
        "network": timing.role,
        "engine": timing.engine,
        "ms": f"{timing.milliseconds:.1f}",
        "cpu ms": f"{timing.cpu_milliseconds:.1f}",
        "speed": f"{timing.speed:.2f}",
        "difference": f"{timing.difference:.1e} ({timing.measure})",
        "allowed": f"{timing.tolerance:.0e}",
        "chosen": "yes" if timing.chosen else "",
    }
