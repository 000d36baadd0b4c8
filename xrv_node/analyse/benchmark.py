"""Which engine runs each network fastest on this machine, and still gives its numbers.

Measured on the machine and with the weights that serve, and kept in the model directory. It fails closed: an
engine that breaks or leaves its tolerance is not chosen, and a choice that was measured with another torch,
another processor or other weights is not used. Plain torch is what is left then.
"""

from __future__ import annotations

import copy
import json
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn

from xrv_node import durable
from xrv_node.analyse.engines import ENGINES, PLAIN, Engine
from xrv_node.errors import ConfigError
from xrv_node.models import Networks, autoencoder, densenet, pspnet
from xrv_node.phantom import radiograph
from xrv_node.radiograph.image import Radiograph
from xrv_node.radiograph.prepare import prepare_all
from xrv_node.values import Role


@dataclass(frozen=True, slots=True)
class Check:
    """How two outputs of one network are compared."""

    measure: str
    difference: Callable[[Networks, Tensor, Tensor], float]
    """Of an engine's output from plain torch's."""
    exact: float
    """What an engine in float32 may differ by."""
    half: float
    """What one in bfloat16 may differ by."""


@dataclass(frozen=True, slots=True)
class Timing:
    """One engine under one network."""

    role: Role
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


def _scores(networks: Networks, one: Tensor, other: Tensor) -> float:
    return float((networks.scores(one)[0] - networks.scores(other)[0]).abs().max())


def _overlap(_: Networks, one: Tensor, other: Tensor) -> float:
    a, b = one > 0, other > 0
    both = int(a.sum() + b.sum())
    return 1 - 2 * int((a & b).sum()) / both if both else 0.0


def _relative(_: Networks, one: Tensor, other: Tensor) -> float:
    return float(((one - other).abs().mean() / one.abs().mean()).cpu())


CHECKS: dict[Role, Check] = {
    "classifier": Check("largest difference of scores", _scores, exact=1e-5, half=1e-2),
    "segmenter": Check("1 - Dice of all masks", _overlap, exact=1e-4, half=5e-3),
    "autoencoder": Check("relative difference of reconstructions", _relative, exact=1e-4, half=1e-2),
}
"""By role. Scores are what is reported, so they have the tightest bound."""


SIZES: dict[Role, int] = {
    "classifier": densenet.SIZE,
    "segmenter": pspnet.SIZE,
    "autoencoder": autoencoder.SIZE,
}
"""Side of each network's input."""


def phantoms(count: int) -> dict[int, Tensor]:
    """Synthetic radiographs of both frontal views to measure on, by side as `measure` takes them."""
    drawn = [Radiograph(radiograph(("PA", "AP")[k % 2], seed=k), 0, 4095) for k in range(count)]
    inputs = [prepare_all(image, sorted(set(SIZES.values()))) for image in drawn]
    return {size: torch.stack([torch.from_numpy(i[size]) for i in inputs])[:, None] for size in inputs[0]}


def measure(
    networks: Networks,
    images: Mapping[int, Tensor],
    *,
    half: bool = False,
    rounds: int = 5,
    engines: Sequence[Engine] = tuple(ENGINES.values()),
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
        To compare; plain torch must be the first.

    Yields
    ------
    Timing
        Of each engine under each network; exactly one per network is chosen.
    """
    for role, check in CHECKS.items():
        network = getattr(networks, role)
        own = images[SIZES[role]].to(networks.device, memory_format=torch.channels_last)
        runs: dict[str, Callable[[], Tensor]] = {}
        outputs, failures = dict[str, Tensor](), dict[str, str]()
        for engine in engines:
            if networks.device.partition(":")[0] not in engine.devices:
                continue
            try:
                runs[engine.name] = _run(engine, engine.prepare(copy.deepcopy(network)), own, networks.device)
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


def _run(engine: Engine, network: nn.Module, images: Tensor, device: str) -> Callable[[], Tensor]:
    def run() -> Tensor:
        exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
        with torch.inference_mode(), exact, engine.precision(device):
            output = network(images)
            first: Tensor = output[0] if isinstance(output, tuple) else output
            return first.float()

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
    networks: Networks,
    role: Role,
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


# ---------------------------------------------------------------- the choice, kept


def _machine(networks: Networks) -> dict[str, str]:
    """What a choice holds for."""
    kind = networks.device.partition(":")[0]
    part = torch.cuda.get_device_name(networks.device) if kind == "cuda" else _processor()
    return {"device": part, "torch": torch.__version__, "model_set": networks.identity.digest}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = named[0] if named else platform.processor() or platform.machine()
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"


def path(directory: Path, device: str) -> Path:
    """Where the choice for a device lies in the model directory."""
    return directory / f"engine-{device.replace(':', '-')}.json"


def save(timings: Sequence[Timing], directory: Path, networks: Networks) -> Path:
    """Keep the choice beside the weights; returns the file.

    Raises
    ------
    ConfigError
        The directory cannot be written.
    """
    choice = {
        **_machine(networks),
        "engines": {t.role: t.engine for t in timings if t.chosen},
        "measured": [asdict(t) for t in timings if t.failure is None],
        "failed": {f"{t.role} {t.engine}": t.failure for t in timings if t.failure},
    }
    target = path(directory, networks.device)
    try:
        durable.write(target, [json.dumps(choice, indent=2, allow_nan=False).encode()])
    except OSError as error:
        raise ConfigError(f"{target} cannot be written ({error.strerror}): choose another --dir") from error
    return target


def chosen(directory: Path, networks: Networks) -> dict[Role, Engine]:
    """Return the engine of each network: the measured one, or plain torch.

    Plain torch where nothing was measured, where it was with another processor, torch or other weights, and
    where the file cannot be read: an engine is a convenience, and its file no reason to stop.
    """
    try:
        choice = json.loads(path(directory, networks.device).read_bytes())
        if {key: choice[key] for key in _machine(networks)} != _machine(networks):
            return dict.fromkeys(CHECKS, PLAIN)
        return {role: ENGINES[choice["engines"][role]] for role in CHECKS}
    except (OSError, ValueError, KeyError, TypeError):
        return dict.fromkeys(CHECKS, PLAIN)
