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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import recipes
import torch
from parity_cases import CASES, MEMBERS, Case, Function, StandIn, xrv
from recipes import TINY_VQGAN, drawn, ensemble, recipe
from torch import Tensor, nn

from xrv_node.models import architectures, catalog, get_model, importing
from xrv_node.models.model import Model


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
        network = xrv().models.DenseNet(weights=None)
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
    importing.import_file(source, entry, directory, force=True)
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
