"""How far every network's outputs are from torchxrayvision's, with the same weights.

``python tests/models/parity.py [FILE]`` (``make parity``) writes the table; the tests assert each of its rows.
torchxrayvision loads files of the released kinds by its own loaders, from a home directory that is made here; the
network here loads the same files through the restricted reader and the model directory.
"""

from __future__ import annotations

import os
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import recipes
import torch
from recipes import TINY_VQGAN, drawn, ensemble, recipe
from torch import Tensor, nn

from xrv_node.models import architectures, catalog, get_model, weights
from xrv_node.models.calibration import op_norm
from xrv_node.models.model import Model

MEMBERS = 2
"""Networks of each of the ensemble's groups; its released archive has 30."""

Function = Callable[[Any, Tensor], Tensor]
"""What is compared: of a model, theirs or ours, and an input."""

Pick = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Case:
    """One network of torchxrayvision."""

    name: str
    """In the catalogue."""
    keys: str | None
    """Title in the list of released state dict keys."""
    theirs: Callable[[], nn.Module]
    """torchxrayvision's network, from its home directory."""
    outputs: dict[str, dict[str, tuple[Function, Function]]]
    """By recipe of the weights: what is compared, theirs and ours. F2 saturates sigmoids."""
    golden: str
    """Title in the written down outputs."""
    written: tuple[tuple[str, int, Function] | tuple[str, int, Function, Pick], ...]
    """Written down output, size of its input, ours, and which part of that."""
    sizes: tuple[int, ...]
    """Of the inputs that both are run on."""
    tolerance: float = 1e-4
    """Of the largest output, by which one may differ: other orders of summation, nothing else."""
    wrap: Callable[[dict[str, Tensor]], Any] = dict
    """From a state dict to what the released file holds."""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    model: str
    keys: str
    against: str
    weights: str
    inputs: str
    difference: float
    tolerance: float


def _call(model: Any, x: Tensor) -> Tensor:
    return model(x)


def _get(key: str, model: Any, x: Tensor) -> Tensor:
    return model(x)[key]


def _method(name: str, model: Any, x: Tensor) -> Tensor:
    return getattr(model, name)(x)


def _network(model: Model, x: Tensor) -> Tensor:
    """All outputs of our network, also those of untrained heads."""
    return model.network(x)


def _their_logits(model: Any, x: Tensor) -> Tensor:
    kept, model.op_threshs = model.op_threshs, None
    try:
        return model(x)
    finally:
        model.op_threshs = kept


def _trained(function: Function, labels: tuple[str, ...], model: Any, x: Tensor) -> Tensor:
    """Their outputs of the heads that were trained: the others are always 0.5."""
    return function(model, x)[:, [model.targets.index(label) for label in labels]]


def _calibrated(name: str, model: Model, x: Tensor) -> Tensor:
    """All heads' scores by the operating points that torchxrayvision applies to weights of that name."""
    points = torch.tensor(catalog.find(name).operating_points(published=True).thresholds)
    return op_norm(model.network(x).sigmoid(), points)


def _centre(masks: Tensor) -> Tensor:
    return masks[0, :, 256, 256]


def _classifier(name: str, embed: str) -> dict[str, dict[str, tuple[Function, Function]]]:
    labels = tuple(label for label, _ in catalog.find(name).trained_heads)
    return {
        "F": {"scores": (partial(_trained, _call, labels), _call)},
        "F2": {
            "logits": (partial(_trained, _their_logits, labels), partial(_method, "logits")),
            "features": (partial(_method, embed), partial(_method, "features")),
        },
    }


def _xrv() -> Any:
    import torchxrayvision

    return torchxrayvision


def _jfhealthcare() -> nn.Module:
    """Without the download of ImageNet's weights, which its constructor makes to overwrite them."""
    module = _xrv().baseline_models.jfhealthcare
    backbones = module.classifier.BACKBONES
    build = backbones["densenet121"]

    def offline(configuration: Any) -> nn.Module:
        configuration.pretrained = False
        return build(configuration)

    backbones["densenet121"] = offline
    try:
        return module.DenseNet()
    finally:
        backbones["densenet121"] = build


def _chexpert() -> nn.Module:
    archive = Path.home() / ".torchxrayvision/models_data" / catalog.find("chexpert").file
    return _xrv().baseline_models.chexpert.DenseNet(weights_zip=str(archive), num_models=MEMBERS)


def _baseline(module: str, name: str, *args: Any) -> nn.Module:
    return getattr(getattr(_xrv().baseline_models, module), name)(*args)


def _data_parallel(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"module.{key}": value for key, value in state.items()}


def _lightning(prefix: str, state: dict[str, Tensor]) -> dict[str, Any]:
    inside = {f"{prefix}{key}": value for key, value in state.items()}
    return {"epoch": 13, "global_step": 7125, "state_dict": inside, "optimizer_states": [{"lr": 1e-3}]}


class StandIn(nn.Module):
    """In place of the age model's layout, which only its file knows: one convolution and a mean."""

    def __init__(self) -> None:
        super().__init__()
        self.c = nn.Conv2d(3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.c(x).mean(dim=(2, 3))


WHOLE = {"F2": {"outputs": (_call, _call)}}

SCORES = {"F": {"scores": (_call, _call)}}

FEATURES = (partial(_method, "features"), partial(_method, "features"))

CASES = (
    Case(
        "densenet121-res224-all",
        "densenet121 core (18 outputs)",
        lambda: _xrv().models.DenseNet(weights="densenet121-res224-all"),
        _classifier("all", "features2"),
        "densenet",
        (
            ("raw logits, 224 skimage", 224, _network),
            ("op_threshs=None -> logits, 512 in", 512, _network),
            ("weights=all calibrated, 224 skimage", 224, partial(_calibrated, "all")),
            ("op_norm thresholds of nih", 224, partial(_calibrated, "nih")),
            ("op_norm thresholds of rsna", 224, partial(_calibrated, "rsna")),
            ("features2 512 in", 512, partial(_method, "features")),
        ),
        sizes=(224, 512),
    ),
    Case(
        "resnet50-res512-all",
        "resnet50-res512-all",
        lambda: _xrv().models.ResNet(weights="resnet50-res512-all"),
        _classifier("resnet50", "features"),
        "resnet",
        (
            ("logits 512", 512, _network),
            ("calibrated 512", 512, partial(_calibrated, "resnet50")),
            ("calibrated 224 in", 224, partial(_calibrated, "resnet50")),
            ("features 512", 512, partial(_method, "features")),
        ),
        sizes=(512, 224),
    ),
    Case(
        "101-elastic",
        "ResNetAE 101-elastic",
        lambda: _xrv().autoencoders.ResNetAE(weights="101-elastic"),
        {"F2": {key: (partial(_get, key), partial(_get, key)) for key in ("z", "out")}},
        "ae",
        (("z", 224, partial(_get, "z")), ("out", 224, partial(_get, "out"))),
        sizes=(224,),
        tolerance=1e-3,
    ),
    Case(
        "chestx_det",
        "chestx_det PSPNet (inner, without module.)",
        partial(_baseline, "chestx_det", "PSPNet"),
        WHOLE,
        "pspnet",
        (("logits 512", 512, _call), ("px[0,:,256,256]", 512, _call, _centre)),
        sizes=(256,),
        tolerance=1e-3,
        wrap=_data_parallel,
    ),
    Case(
        "chestx_anatomy",
        "chestx_anatomy UNetResNet50 (wrapper names)",
        partial(_baseline, "chestx_anatomy", "UNetResNet50"),
        WHOLE,
        "cxas",
        (("logits 512", 512, _call), ("px[0,:8,256,256]", 512, _call, _centre)),
        sizes=(256,),
    ),
    Case(
        "jfhealthcare",
        "jfhealthcare (as in the file, no prefix)",
        _jfhealthcare,
        {**SCORES, **WHOLE},
        "jf",
        (("logits 512", 512, _network), ("logits 224 in", 224, _network), ("sigmoid 512", 512, _call)),
        sizes=(512, 224),
    ),
    Case(
        "chexpert",
        "chexpert single member 3-class (keys without module.; classifier rows 42)",
        _chexpert,
        {**SCORES, "F2": {"features": FEATURES}},
        "chexpert",
        (
            ("probs 512 in", 512, _call),
            ("probs 320", 320, _call),
            ("features 320", 320, partial(_method, "features")),
        ),
        sizes=(320,),
    ),
    Case(
        "xinario",
        "xinario view (1000-way resnet50)",
        partial(_baseline, "xinario", "ViewModel"),
        WHOLE,
        "view",
        (("512 in", 512, _call), ("224", 224, _call)),
        sizes=(224, 512),
    ),
    Case(
        "riken",
        None,
        partial(_baseline, "riken", "AgeModel"),
        WHOLE,
        "age",
        (("512 in", 512, _call), ("320", 320, _call)),
        sizes=(320, 512),
    ),
    Case(
        "mira",
        "mira sex (without model.)",
        partial(_baseline, "mira", "SexModel"),
        WHOLE,
        "sex",
        (("512 in", 512, _call), ("224", 224, _call)),
        sizes=(224, 512),
        wrap=partial(_lightning, "model."),
    ),
    Case(
        "emory_hiti",
        "emory_hiti race (without module.)",
        partial(_baseline, "emory_hiti", "RaceModel"),
        WHOLE,
        "race",
        (("logsoftmax 512 in", 512, _call), ("320", 320, _call)),
        sizes=(320, 512),
        wrap=_data_parallel,
    ),
    Case(
        "cxr2-vqgan-768-sd",
        "ieee8023 VQGAN (tiny ddconfig of the golden test)",
        partial(_baseline, "ieee8023", "VQGAN"),
        {"F2": {"z": (partial(_method, "encode"),) * 2, "out": (_call, partial(_get, "out"))}},
        "vqgan",
        (("encode(512 in)", 512, partial(_method, "encode")), ("decode", 512, partial(_get, "out"))),
        sizes=(64, 512),
        wrap=partial(_lightning, ""),
    ),
)


def released(case: Case, name: str, home: Path) -> Path:
    """Write the file of a network as it was released, with weights of recipe `name`, where theirs looks for it."""
    entry = catalog.find(case.name)
    path = home / ".torchxrayvision/models_data" / entry.file
    path.parent.mkdir(parents=True, exist_ok=True)
    if entry.checkpoint == "program":
        network = StandIn()
        network.load_state_dict(
            {key: drawn(key, tuple(v.shape), name) for key, v in network.state_dict().items()}
        )
        torch.jit.script(network.eval()).save(str(path))
    elif entry.checkpoint == "members":
        with zipfile.ZipFile(path, "w") as archive:
            for inside, checkpoint in ensemble(name, MEMBERS).items():
                with archive.open(inside, "w") as file:
                    torch.save(checkpoint, file, _use_new_zipfile_serialization=False)
    elif entry.network == "densenet121":
        network = _xrv().models.DenseNet(weights=None)
        network.load_state_dict(recipe("densenet121", name))
        torch.save(network, path, _use_new_zipfile_serialization=False)
    else:
        torch.save(case.wrap(recipe(entry.network, name)), path)
    if entry.network == "vqgan":
        path.with_suffix(".yaml").write_text(vqgan_yaml())
    return path


def vqgan_yaml() -> str:
    """The tiny VQGAN's dimensions, written as the released files are."""
    dimensions = {"double_z": False, "in_channels": 3, "out_ch": 3, "dropout": 0.0, **TINY_VQGAN}
    outside = {key: dimensions.pop(key) for key in ("n_embed", "embed_dim")}
    lines = ["model:", "  base_learning_rate: 4.5e-06", "  target: taming.models.vqgan.VQModel", "  params:"]
    lines += [f"    {key}: {value}" for key, value in outside.items()] + ["    ddconfig:"]
    for key, value in dimensions.items():
        if isinstance(value, list):
            lines += [f"      {key}:", *(f"      - {item}" for item in value)]
        else:
            lines.append(f"      {key}: {str(value).lower()}")
    return "\n".join([*lines, "    lossconfig:", "      target: taming.modules.losses.DummyLoss"]) + "\n"


@contextmanager
def at_home(home: Path) -> Iterator[None]:
    """Let torchxrayvision look for its files in `home`, and take back what importing it changes."""
    before, path = os.environ.get("HOME"), list(sys.path)
    os.environ["HOME"] = str(home)
    try:
        yield
    finally:
        sys.path[:] = path
        if before is None:
            del os.environ["HOME"]
        else:
            os.environ["HOME"] = before


def ours_of(case: Case, source: Path, directory: Path) -> Model:
    """Our network from a released file, by way of the model directory."""
    entry = replace(catalog.find(case.name), sha256=None, bytes=None)
    weights.import_file(source, entry, directory, force=True)
    return get_model(case.name, directory, xrv_compatible=True, run_code=True)


def settings_of(case: Case) -> dict[str, Any]:
    """The dimensions of a network whose file holds them."""
    return {"vqgan": TINY_VQGAN, "chexpert_ensemble": {"members": 1}}.get(catalog.find(case.name).network, {})


def keys_matched(case: Case) -> str:
    """How many names, shapes and dtypes of our state dict are those of the released file."""
    if case.keys is None:
        return "in the program"
    own = architectures.layout(catalog.find(case.name).network, settings_of(case))
    theirs = recipes.fact("xrv-keys.json")[case.keys]["keys"]
    if (
        case.name == "chexpert"
    ):  # a member of the second group; of its last layer the rows of other tasks are left out
        own = {
            f"model.{key.removeprefix('groups.1.0.')}": v
            for key, v in own.items()
            if key.startswith("groups.1.")
        }
        for key in ("model.classifier.weight", "model.classifier.bias"):
            own[key] = (own[key][0], (theirs[key][0][0], *own[key][1][1:]))
    same = sum(theirs.get(key) == [list(shape), dtype] for key, (dtype, shape) in own.items())
    return f"{same} of {len(theirs)}" + (" a member" if case.name == "chexpert" else "")


def relative(ours: Tensor, theirs: Tensor) -> float:
    """Largest difference, in parts of the largest output."""
    assert ours.shape == theirs.shape
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


def from_written(ours: Tensor, golden: Any) -> float:
    """Largest difference from what was written down of an output: first values and the sum of all, or all values."""
    if isinstance(golden, list):
        values = torch.tensor(golden)
        return relative(ours[: len(values)], values)
    assert list(ours.shape) == golden["shape"]
    first = torch.tensor(golden["first"], dtype=torch.float64)
    scale = max(abs(golden["min"]), abs(golden["max"]))
    nearby = (ours.double().flatten()[: len(first)] - first).abs().max().item() / scale
    return max(nearby, abs(ours.double().abs().sum().item() - golden["abs_sum"]) / golden["abs_sum"])


@torch.inference_mode()
def rows_of(case: Case, folder: Path, images: dict[int, Tensor] | None) -> Iterator[Row]:
    """Measure a network; `images` are the written down inputs by size, None where they are not here."""
    image = recipes.smooth_image()
    for name in recipes.RECIPES:
        if name in case.outputs or catalog.find(case.name).checkpoint in ("members", "program"):
            source = released(case, name, folder)
            model = ours_of(case, source, folder / "models")
        elif images is None:
            continue
        else:
            state = recipe(catalog.find(case.name).network, name)
            model = get_model(case.name, state=state, settings=settings_of(case), xrv_compatible=True)
        keys = keys_matched(case) if images is not None else ""
        if name in case.outputs:
            with at_home(folder):
                theirs = case.theirs().eval()
                yield from _here(case, name, keys, model, theirs, image)
        if images is not None:
            yield from _written_down(case, name, keys, model, images)


def _here(case: Case, name: str, keys: str, model: Model, theirs: nn.Module, image: Tensor) -> Iterator[Row]:
    for size in case.sizes:
        x = nn.functional.interpolate(image, (size, size), mode="bilinear")
        for output, (of_theirs, of_ours) in case.outputs[name].items():
            difference = relative(of_ours(model, x), of_theirs(theirs, x))
            yield Row(case.name, keys, "run here", name, f"{output} of {size}", difference, case.tolerance)


def _written_down(case: Case, name: str, keys: str, model: Model, images: dict[int, Tensor]) -> Iterator[Row]:
    golden = recipes.fact({"F": "xrv-golden.json", "F2": "xrv-golden-f2.json"}[name])["models"][case.golden]
    seen: dict[tuple[int, Function], Tensor] = {}
    for title, size, function, *pick in case.written:
        if (size, function) not in seen:
            seen[size, function] = function(model, images[size])
        output = seen[size, function]
        difference = from_written(pick[0](output) if pick else output, golden[title])
        yield Row(case.name, keys, "written down", name, title, difference, case.tolerance)


def golden_images() -> dict[int, Tensor] | None:
    """The written down inputs by size, None where they are not beside the project."""
    try:
        image = recipes.golden_image()
    except FileNotFoundError:
        return None
    return {512: image, **{size: recipes.shrunk(image, size) for size in (224, 320)}}


def table(rows: list[Row]) -> str:
    """One line a model: the largest difference of all outputs, inputs and weights, by where theirs were made."""
    lines = [
        "| model | keys of the released file | outputs and input sizes, run here | difference | written down |",
        "|---|---|---|---|---|",
    ]
    for model in dict.fromkeys(row.model for row in rows):
        own = [row for row in rows if row.model == model]
        here = [row for row in own if row.against == "run here"]
        written = [row.difference for row in own if row.against == "written down"]
        compared = ", ".join(dict.fromkeys(row.inputs for row in here))
        worst = max(row.difference for row in here)
        other = f"{max(written):.1e}" if written else "not here"
        lines.append(f"| `{model}` | {own[0].keys} | {compared} | {worst:.1e} | {other} |")
    return "\n".join(lines) + "\n"


HEADING = """# Parity

`make parity` writes this page; `tests/models/test_models_parity.py` asserts every number that goes into it.
Every network gets weights that are drawn from its tensors' names, in a file of the kind that was released.
torchxrayvision 1.5.7 loads that file with its own code, the network here loads it by way of the restricted reader
and the model directory, and both run on the same images on a CPU in float32. A difference is the largest of any
output, in parts of the largest output: what is left is the order of sums.

*Written down*: outputs of torchxrayvision on an image of its own tests, with such weights, recorded on another
machine; first values and sum of each. The other six DenseNets are the first with other weights and operating
points, the larger VQGAN is the smaller with other dimensions.

"""


def main() -> None:
    """Measure all, print the table or write it to the file that is named."""
    torch.set_num_threads(1)
    images, rows = golden_images(), []
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            rows += rows_of(case, Path(folder), images)
        recipe.cache_clear()
    text = HEADING + table(rows)
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text)
    else:
        sys.stdout.write(text)
    if any(not row.difference <= row.tolerance for row in rows):
        sys.exit("a network is not torchxrayvision's")


if __name__ == "__main__":
    main()
