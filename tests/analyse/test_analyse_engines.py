"""An engine changes how a network runs, not what it says; and what changes it is never chosen."""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import untrained
from torch import Tensor, nn

from xrv_node.analyse import benchmark, engine_choice, engines
from xrv_node.analyse.engines import ENGINES, PLAIN, Engine, FoldedPyramid
from xrv_node.errors import WeightsError
from xrv_node.models import Networks
from xrv_node.models.model import Autoencoder, Classifier, Segmenter
from xrv_node.models.pspnet import PSPNet

EXACT = [e for e in ENGINES.values() if not e.half and e is not PLAIN]


@pytest.fixture(scope="module")
def networks() -> Networks:
    return untrained.load_set("all", "chestx_det", "101-elastic", Path("unused"))


@pytest.fixture(scope="module")
def images(networks: Networks) -> dict[int, Tensor]:
    return benchmark.phantoms(2, networks.sizes)


@pytest.fixture(scope="module")
def plain(networks: Networks, images: dict[int, Tensor]) -> dict[str, Tensor]:
    outputs = {}
    with torch.inference_mode():
        for role in benchmark.CHECKS:
            model = getattr(networks, role)
            output = model.network(images[model.size])
            outputs[role] = output[0] if isinstance(output, tuple) else output
    return outputs


@pytest.mark.parametrize("engine", EXACT, ids=lambda e: e.name)
@pytest.mark.parametrize("role", list(benchmark.CHECKS))
def test_exact_engines_give_the_same_numbers(
    engine: Engine, role: str, networks: Networks, images: dict[int, Tensor], plain: dict[str, Tensor]
) -> None:
    model = getattr(networks, role)
    network = engine.prepare(copy.deepcopy(model.network))
    with torch.inference_mode(), engine.precision("cpu"):
        output = network(images[model.size].to(memory_format=torch.channels_last))
        once = network(images[model.size][:1].to(memory_format=torch.channels_last))
    output, once = ((o[0] if isinstance(o, tuple) else o).float() for o in (output, once))
    check = benchmark.CHECKS[role]
    assert check.difference(networks, plain[role], output) <= check.exact
    assert check.difference(networks, plain[role][:1], once) <= check.exact  # whatever the batch
    assert output.shape == plain[role].shape


def test_batch_normalisation_is_gone_where_it_followed_a_convolution(networks: Networks) -> None:
    for role, left in (("classifier", 62), ("segmenter", 0), ("autoencoder", 0)):
        network = engines.folded(copy.deepcopy(getattr(networks, role).network))
        norms = [
            name for name, m in network.named_modules() if isinstance(m, nn.BatchNorm2d) and "aux" not in name
        ]
        # a dense block normalises what it concatenates: 58 first norms, 3 transitions and the last one
        assert len(norms) == left


@pytest.mark.parametrize("size", [(64, 64), (33, 40), (12, 12)])
def test_the_folded_pyramid_is_the_pyramid(size: tuple[int, int], networks: Networks) -> None:
    network = copy.deepcopy(networks.segmenter.network)
    engines._fold(network)
    assert isinstance(network, PSPNet)
    x = torch.randn(2, 2048, *size, generator=torch.Generator().manual_seed(1)).relu()
    with torch.inference_mode():
        expected = network.cbr_final(network.pyramid_pooling(x))
        got = FoldedPyramid(network)(x)
    assert torch.allclose(got, expected, atol=2e-6 * float(expected.max()), rtol=1e-5)


@pytest.mark.filterwarnings("ignore:CUDA is not available")
@pytest.mark.parametrize("name", ["torch", "torch-bf16", "torch-fp16"])
def test_on_a_gpu_weights_stay_in_float32_and_lie_channels_last(name: str, networks: Networks) -> None:
    """Autocast rounds there, so that what it does not convolve (scores, masks, errors) is not rounded."""
    engine = ENGINES[name]
    assert "cuda" in engine.devices
    network = engine.prepare(copy.deepcopy(networks.autoencoder.network).to("meta"))  # not the CPU's branch
    kernels = [p for p in network.parameters() if p.ndim == 4]
    assert all(p.dtype is torch.float32 for p in network.parameters())
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in kernels)
    context = engine.precision("cuda:1")
    if engine.half is not None:
        assert isinstance(context, torch.autocast)
        assert (context.device, context.fast_dtype) == ("cuda", engine.half)


@pytest.mark.parametrize("name", ["torch-bf16", "torch-fp16"])
def test_sixteen_bits_come_near(
    name: str, networks: Networks, images: dict[int, Tensor], plain: dict[str, Tensor]
) -> None:
    """On the CPU, whose autocast rounds as a GPU's does."""
    engine = ENGINES[name]
    if reason := engine.declines("cpu"):
        pytest.skip(reason)
    network = engine.prepare(copy.deepcopy(networks.classifier.network))
    with torch.inference_mode(), engine.precision("cpu"):
        output = network(images[networks.classifier.size].to(memory_format=torch.channels_last)).float()
    difference = benchmark.CHECKS["classifier"].difference(networks, plain["classifier"], output)
    assert 0 < difference < 0.03  # with untrained weights, which amplify rounding


BFLOAT16 = """
import json, torch
from xrv_node.analyse.engines import ENGINES

engine = ENGINES["torch-bf16"]
network = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 3)).eval().requires_grad_(False)
try:
    works = bool(engine.prepare(network)(torch.ones(1, 1, 9, 9)).isfinite().all())
except RuntimeError:
    works = False
print(json.dumps([works, engine.declines("cpu"), engine.declines("cuda:0")]))
"""


@pytest.mark.parametrize("processor", [{}, {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}])
def test_bfloat16_is_declined_where_it_does_not_work_and_only_there(processor: dict[str, str]) -> None:
    """Without AVX-512, and on this processor with whatever it has."""
    command = [sys.executable, "-c", BFLOAT16]
    done = subprocess.run(command, env=os.environ | processor, capture_output=True, text=True, check=True)
    works, reason, on_a_gpu = json.loads(done.stdout)
    assert works == (reason is None)
    assert on_a_gpu is None
    if processor:
        assert "AVX-512" in reason


# ---------------------------------------------------------------- the choice


class Tiny(nn.Module):
    """In a network's place: its input in the output's shape."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape
        self.gain = nn.Parameter(torch.ones(()), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        flat = (x - x.mean()).flatten(1)[:, : torch.Size(self.shape).numel()]
        return self.gain * flat.reshape(len(x), *self.shape) / 1024

    encode = forward

    def decode(self, z: Tensor) -> Tensor:
        return z


@pytest.fixture
def tiny(networks: Networks) -> Networks:
    return dataclasses.replace(
        networks,
        classifier=Classifier(networks.classifier.entry, Tiny((18,))),
        segmenter=Segmenter(networks.segmenter.entry, Tiny((14, 8, 8))),
        autoencoder=Autoencoder(networks.autoencoder.entry, Tiny((1, 224, 224))),
    )


def spoilt(gain: float) -> Engine:
    """Changes what a network says."""

    def prepare(network: nn.Module) -> nn.Module:
        network.gain.data.fill_(gain)
        return network

    return Engine("spoilt", "", prepare)


def broken() -> Engine:
    def prepare(_: nn.Module) -> nn.Module:
        raise AttributeError("no such operator\nand more")

    return Engine("broken", "", prepare)


def same(name: str, *, half: torch.dtype | None = None) -> Engine:
    return Engine(name, "", lambda network: network, half=half)


def measured(
    monkeypatch: pytest.MonkeyPatch,
    tiny: Networks,
    images: dict[int, Tensor],
    *others: Engine,
    half: bool = False,
) -> list[benchmark.Timing]:
    """As `measure`, with every engine ten times as fast as plain torch: what keeps it out is never its speed."""
    table = {e.name: e for e in (PLAIN, *others)}
    monkeypatch.setattr(benchmark, "ENGINES", table)
    monkeypatch.setattr(
        benchmark,
        "_seconds",
        lambda runs, *_: {name: [(1.0, 1.0) if name == PLAIN.name else (0.1, 0.1)] for name in runs},
    )
    return list(benchmark.measure(tiny, images, half=half, engines=tuple(table.values())))


def winners(timings: list[benchmark.Timing]) -> set[str]:
    assert [t.role for t in timings if t.chosen] == list(benchmark.CHECKS)  # exactly one of each
    return {t.engine for t in timings if t.chosen}


@pytest.mark.parametrize("gain", [1.01, 0.0, float("nan"), float("inf")])
def test_an_engine_with_other_numbers_is_never_chosen(
    gain: float, monkeypatch: pytest.MonkeyPatch, tiny: Networks, images: dict[int, Tensor]
) -> None:
    timings = measured(monkeypatch, tiny, images, spoilt(gain))
    chosen = {t.role: t.engine for t in timings if t.chosen}
    assert chosen["classifier"] == chosen["autoencoder"] == PLAIN.name
    if gain != 1.01 and gain != float("inf"):  # a mask is where a logit is above 0: a gain leaves it as it is
        assert chosen["segmenter"] == PLAIN.name


def test_one_that_breaks_is_said_and_not_chosen(
    monkeypatch: pytest.MonkeyPatch, tiny: Networks, images: dict[int, Tensor], tmp_path: Path
) -> None:
    timings = measured(monkeypatch, tiny, images, broken(), same("fine"))
    assert winners(timings) == {"fine"}
    failures = [t for t in timings if t.engine == "broken"]
    assert [t.failure for t in failures] == ["AttributeError: no such operator"] * 3
    assert "does not work" in benchmark.row(failures[0])["chosen"]
    kept = json.loads(engine_choice.save(timings, tmp_path, tiny).read_text())
    assert kept["failed"]["classifier broken"] == "AttributeError: no such operator"


def test_one_that_rounds_is_chosen_only_when_asked_for(
    monkeypatch: pytest.MonkeyPatch, tiny: Networks, images: dict[int, Tensor]
) -> None:
    rounding = same("rounding", half=torch.bfloat16)
    assert winners(measured(monkeypatch, tiny, images, rounding)) == {PLAIN.name}
    assert winners(measured(monkeypatch, tiny, images, rounding, half=True)) == {"rounding"}


def test_plain_torch_is_compared_with_itself(
    monkeypatch: pytest.MonkeyPatch, tiny: Networks, images: dict[int, Tensor]
) -> None:
    timings = measured(monkeypatch, tiny, images)
    assert all(t.difference == 0 and t.speed == 1 and t.chosen for t in timings)


def test_one_that_declines_is_said_and_not_chosen(
    monkeypatch: pytest.MonkeyPatch, tiny: Networks, images: dict[int, Tensor]
) -> None:
    declining = dataclasses.replace(same("declining"), declines=lambda device: f"not on {device}")
    timings = measured(monkeypatch, tiny, images, declining)
    assert winners(timings) == {PLAIN.name}
    assert [t.failure for t in timings if t.engine == "declining"] == ["not on cpu"] * 3


def test_one_that_was_chosen_and_declines_now_is_not_used(
    tmp_path: Path, tiny: Networks, monkeypatch: pytest.MonkeyPatch, images: dict[int, Tensor]
) -> None:
    kept(tmp_path, tiny, monkeypatch, images)
    now = dataclasses.replace(ENGINES["torch-folded"], declines=lambda _: "not any more")
    monkeypatch.setitem(ENGINES, "torch-folded", now)
    assert set(engine_choice.chosen(tmp_path, tiny).values()) == {PLAIN}


def kept(tmp_path: Path, tiny: Networks, monkeypatch: pytest.MonkeyPatch, images: dict[int, Tensor]) -> Path:
    timings = measured(monkeypatch, tiny, images, same("torch-folded"))
    monkeypatch.undo()
    return engine_choice.save(timings, tmp_path, tiny)


def test_the_choice_is_kept_and_used(
    tmp_path: Path, tiny: Networks, monkeypatch: pytest.MonkeyPatch, images: dict[int, Tensor]
) -> None:
    assert set(engine_choice.chosen(tmp_path, tiny).values()) == {PLAIN}
    assert kept(tmp_path, tiny, monkeypatch, images).name == "engine-cpu.json"
    assert set(engine_choice.chosen(tmp_path, tiny).values()) == {ENGINES["torch-folded"]}


@pytest.mark.parametrize("key", ["device", "torch", "model_set"])
def test_a_choice_of_another_machine_or_model_is_not_used(
    key: str, tmp_path: Path, tiny: Networks, monkeypatch: pytest.MonkeyPatch, images: dict[int, Tensor]
) -> None:
    file = kept(tmp_path, tiny, monkeypatch, images)
    file.write_text(json.dumps(json.loads(file.read_text()) | {key: "another"}))
    assert set(engine_choice.chosen(tmp_path, tiny).values()) == {PLAIN}


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"engines": 3}', '{"engines": {"classifier": "unheard-of"}}']
)
def test_a_damaged_choice_stops_nothing(content: str, tmp_path: Path, tiny: Networks) -> None:
    file = engine_choice.path(tmp_path, "cpu")
    try:
        extra = json.loads(content)
    except ValueError:
        extra = None
    whole = isinstance(extra, dict)
    file.write_text(json.dumps(engine_choice._machine(tiny) | extra) if whole else content)
    assert set(engine_choice.chosen(tmp_path, tiny).values()) == {PLAIN}


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path, tiny: Networks) -> None:
    (tmp_path / "models").write_text("a file")
    with pytest.raises(WeightsError, match="cannot be written"):
        engine_choice.save([], tmp_path / "models", tiny)


def test_each_device_has_its_file(tmp_path: Path) -> None:
    assert engine_choice.path(tmp_path, "cuda:1").name == "engine-cuda-1.json"
