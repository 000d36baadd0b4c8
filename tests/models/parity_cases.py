"""The networks that are compared with torchxrayvision's: how each is made there, and what of it is compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from xrv_node.models import catalog
from xrv_node.models.model import Model
from xrv_node.models.operating_points import op_norm

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


def xrv() -> Any:
    import torchxrayvision

    return torchxrayvision


def _jfhealthcare() -> nn.Module:
    """Without the download of ImageNet's weights, which its constructor makes to overwrite them."""
    module = xrv().baseline_models.jfhealthcare
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
    return xrv().baseline_models.chexpert.DenseNet(weights_zip=str(archive), num_models=MEMBERS)


def _baseline(module: str, name: str, *args: Any) -> nn.Module:
    return getattr(getattr(xrv().baseline_models, module), name)(*args)


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
        lambda: xrv().models.DenseNet(weights="densenet121-res224-all"),
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
        lambda: xrv().models.ResNet(weights="resnet50-res512-all"),
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
        lambda: xrv().autoencoders.ResNetAE(weights="101-elastic"),
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
