"""Released files of every kind on their way into the model directory, and hostile ones that look like them."""

from __future__ import annotations

import argparse
import collections
import os
import subprocess
import zipfile
from dataclasses import replace

import numpy as np
import parity
import pytest
import recipes
import torch
from recipes import TINY_VQGAN, recipe

from xrv_node.errors import WeightsError
from xrv_node.models import catalog, convert, get_model, importing, pickles, weights
from xrv_node.models.baselines import chexpert_members, vqgan_yaml

CASES = {case.name: case for case in parity.CASES}
VQGAN, CHEXPERT, AGE, SEX = (catalog.find(name) for name in ("vqgan-sd", "chexpert", "age", "sex"))


# ------------------------------------------------------------------ checkpoints of a trainer


class Attributes(dict):
    """As trainers keep hyperparameters: a dict with a class of its own."""


class Callback:
    def __init__(self):
        self.best = torch.tensor(0.5)


Attributes.__module__, Callback.__module__ = "trainer.utilities", "trainer.callbacks"


class Runs:
    """Unpickled freely, it would run."""

    def __init__(self, call, *args):
        self.call, self.args = call, args

    def __reduce__(self):
        return self.call, self.args


@pytest.fixture
def trainer(monkeypatch):
    """A package that pickling finds and the reader does not know."""
    import sys
    import types

    for name, values in {
        "trainer": {},
        "trainer.utilities": {"Attributes": Attributes},
        "trainer.callbacks": {"Callback": Callback},
    }.items():
        module = types.ModuleType(name)
        module.__dict__.update(values)
        monkeypatch.setitem(sys.modules, name, module)


@pytest.mark.parametrize("zipped", [True, False])
def test_what_a_trainer_keeps_is_left_out(trainer, tmp_path, zipped):
    state = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.num_batches_tracked": torch.tensor(3)}
    checkpoint = {
        "epoch": 3,
        "callbacks": {Callback: Callback(), "other": collections.defaultdict(list, {"a": [1]})},
        "hyper_parameters": Attributes(lr=1e-3),
        "arguments": argparse.Namespace(path=tmp_path),
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(6)}}}],
        "score": np.float64(0.5),
        "array": np.arange(3),
        "state_dict": collections.OrderedDict(state),
    }
    path = tmp_path / "w.ckpt"
    torch.save(checkpoint, path, _use_new_zipfile_serialization=zipped)
    found = pickles.read_tensors(path, lenient=True)
    assert found.keys() == state.keys()
    assert all(np.array_equal(found[key], value) for key, value in state.items())
    with pytest.raises(WeightsError, match="which weights do not need"):
        pickles.read_tensors(path)


@pytest.mark.parametrize(
    ("name", "payload"),
    {
        "os": lambda witness: Runs(os.system, f"touch {witness}"),
        "subprocess": lambda witness: Runs(subprocess.getoutput, f"touch {witness}"),
        "eval": lambda witness: Runs(eval, f"open({str(witness)!r}, 'w')"),
        "getattr": lambda witness: Runs(getattr, "x", "format"),
        "open": lambda witness: Runs(open, str(witness), "w"),
    }.items(),
)
def test_harm_beside_the_weights_is_refused(name, payload, tmp_path):
    witness = tmp_path / "witness"
    path = tmp_path / SEX.file
    torch.save({"state_dict": recipe("resnet34_sex", "F"), "callbacks": payload(witness)}, path)
    with pytest.raises(WeightsError, match="which weights do not need: it was not read"):
        importing.import_file(path, SEX, tmp_path / "models")
    assert not witness.exists()
    assert not list((tmp_path / "models").iterdir())


def test_what_a_stranger_would_run_does_not_run(tmp_path):
    """Names of unknown packages are inert, whatever they would do: numpy's readers, torch's, anybody's."""
    witness = tmp_path / "witness"
    witness.write_bytes(b"1234")
    path = tmp_path / "w.ckpt"
    torch.save(
        {
            "state_dict": {"w": torch.ones(2)},
            "one": Runs(np.savetxt, str(witness), [1.0]),
            "two": Runs(torch.save, 1, str(witness)),
        },
        path,
    )
    assert list(pickles.read_tensors(path, lenient=True)) == ["w"]
    assert witness.read_bytes() == b"1234"


# ------------------------------------------------------------------ dimensions beside the weights


def test_released_yaml_is_read(tmp_path):
    path = tmp_path / "v.yaml"
    path.write_text(parity.vqgan_yaml())
    assert vqgan_yaml.dimensions(path) == TINY_VQGAN
    path.write_text(
        parity.vqgan_yaml().replace(
            "      ch_mult:\n      - 1\n      - 2\n", "      ch_mult: [1, 2]  # two\n"
        )
    )
    assert vqgan_yaml.dimensions(path) == TINY_VQGAN


def test_yaml_is_read_as_yaml_is():
    text = "# top\na:\n  b: 1\n  c:\n    - 1\n    - 2.5\n  d: [true, ~, 'x']\ne: text # note\nf:\n- 7\n"
    assert vqgan_yaml.flattened(text) == {
        "a.b": 1,
        "a.c": [1, 2.5],
        "a.d": [True, None, "x"],
        "e": "text",
        "f": [7],
    }


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("n_embed: 16", "n_embed: many"), "does not say what n_embed"),
        (("n_embed: 16", "n_embed: -1"), "does not say what n_embed"),
        (("n_embed: 16", "n_embed: 100000000"), "does not say what n_embed"),
        (("      - 2\n", "      - x\n"), "does not say what ddconfig.ch_mult"),
        (("double_z: false", "double_z: true"), "another kind of network"),
        (("in_channels: 3", "in_channels: 1"), "another kind of network"),
        (("model:", "<html>"), "does not say"),
    ],
)
def test_other_yaml_is_refused(change, words, tmp_path):
    path = tmp_path / "v.yaml"
    path.write_text(parity.vqgan_yaml().replace(*change))
    with pytest.raises(WeightsError, match=words):
        vqgan_yaml.dimensions(path)


def test_a_vqgan_needs_its_yaml(tmp_path):
    source = parity.released(CASES[VQGAN.name], "F", tmp_path)
    record = importing.import_file(source, VQGAN, tmp_path / "models")
    assert record.dimensions == TINY_VQGAN
    assert weights.verify(VQGAN, tmp_path / "models").dimensions == TINY_VQGAN
    source.with_suffix(".yaml").unlink()
    with pytest.raises(WeightsError, match=r"vqgan_768_sd\.yaml is not beside the weights"):
        importing.import_file(source, VQGAN, tmp_path / "models")
    source.with_suffix(".yaml").write_text(parity.vqgan_yaml().replace("n_embed: 16", "n_embed: 17"))
    with pytest.raises(
        WeightsError, match=r"'quantize\.embedding\.weight' is float32 \[16, 4\], not float32 \[17, 4\]"
    ):
        importing.import_file(source, VQGAN, tmp_path / "models", force=True)


def test_losses_in_a_vqgans_file_are_left_out():
    layout = {"encoder.w": ("float32", (1,))}
    found = {"encoder.w": np.ones(1, np.float32), "loss.discriminator.w": np.ones(9, np.float32)}
    assert list(convert.checked(found, layout)) == ["encoder.w"]


# ------------------------------------------------------------------ the ensemble's zip


@pytest.fixture(scope="module")
def ensemble_zip(tmp_path_factory):
    return parity.released(CASES[CHEXPERT.name], "F", tmp_path_factory.mktemp("home"))


def test_the_ensemble_is_found_by_its_name_and_read_member_by_member(ensemble_zip, tmp_path):
    assert chexpert_members.count(ensemble_zip) == 2
    assert importing.recognise(ensemble_zip) is CHEXPERT
    record = importing.import_file(ensemble_zip, CHEXPERT, tmp_path)
    assert record.dimensions == {"members": 2}
    state, _ = weights.load(CHEXPERT, tmp_path)
    group = chexpert_members.groups()[1]
    member = recipes.member(group.members[1], group.three_class, "F")
    assert torch.equal(state["groups.1.1.features.conv0.weight"], member["features.conv0.weight"])
    rows = [3 * recipes.LABELS.index(task) + column for task in group.tasks for column in range(3)]
    assert torch.equal(state["groups.1.1.classifier.weight"], member["classifier.weight"][rows])
    one = get_model("chexpert", tmp_path, members=1)
    assert len(one.network.groups[0]) == 1


def _rewritten(source, target, change):
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            if (content := change(name, old)) is not None:
                new.writestr(name, content)
    return target


def test_other_zips_are_refused(ensemble_zip, tmp_path):
    first = chexpert_members.groups()[0].members[0]
    without = _rewritten(ensemble_zip, tmp_path / "a.zip", lambda n, z: None if n == first else z.read(n))
    with pytest.raises(WeightsError, match="is not the ensemble's archive"):
        importing.import_file(without, CHEXPERT, tmp_path / "models")
    short = tmp_path / "b.zip"
    short.write_bytes(ensemble_zip.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="not a whole zip archive"):
        importing.import_file(short, CHEXPERT, tmp_path / "models")
    garbled = _rewritten(
        ensemble_zip, tmp_path / "c.zip", lambda n, z: z.read(n)[:5000] if n == first else z.read(n)
    )
    with pytest.raises(WeightsError, match="damaged or truncated"):
        importing.import_file(garbled, CHEXPERT, tmp_path / "models")

    def without_tasks(name, archive):
        if name != first:
            return archive.read(name)
        with archive.open(name) as file:
            checkpoint = torch.load(file, weights_only=True)
        del checkpoint["task_sequence"]["Edema"]
        with (tmp_path / "m").open("wb") as out:
            torch.save(checkpoint, out)
        return (tmp_path / "m").read_bytes()

    nameless = _rewritten(ensemble_zip, tmp_path / "d.zip", without_tasks)
    with pytest.raises(WeightsError, match="does not say which of its outputs is Edema"):
        importing.import_file(nameless, CHEXPERT, tmp_path / "models")
    assert not (tmp_path / "models").exists() or not list((tmp_path / "models").iterdir())


# ------------------------------------------------------------------ the program


def test_a_program_is_kept_as_it_is_and_runs_only_when_told(tmp_path):
    source = parity.released(CASES[AGE.name], "F", tmp_path)
    importing.import_file(source, AGE, tmp_path / "models")
    state, record = weights.load(AGE, tmp_path / "models")
    assert state["archive"].numpy().tobytes() == source.read_bytes()
    assert record.dimensions == {"length": source.stat().st_size}
    weights.verify(AGE, tmp_path / "models")  # which does not run it
    with pytest.raises(WeightsError, match="runs code from its file"):
        get_model("age", tmp_path / "models")
    model = get_model("age", tmp_path / "models", run_code=True)
    assert model.targets == ("Age",)
    assert model(torch.zeros(2, 1, 64, 64)).shape == (2, 1)
    assert list(model.network.buffers()) == []  # the archive is let go


def test_weights_are_not_taken_for_a_program(tmp_path):
    path = tmp_path / AGE.file
    torch.save(recipe("resnet34_sex", "F"), path)
    with pytest.raises(WeightsError, match="is not a TorchScript file"):
        importing.import_file(path, AGE, tmp_path / "models")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(WeightsError, match="not a whole TorchScript file"):
        importing.import_file(path, AGE, tmp_path / "models")


# ------------------------------------------------------------------ names in released files


def test_names_are_brought_to_the_networks_own():
    layout = {f"backbone.backbone.{key}": ("float32", (1,)) for key in "ab"} | {"head.c": ("float32", (1,))}
    value = np.ones(1, np.float32)
    for prefix in ("", "module.", "model.", "net."):
        for backbone in ("backbone.", "backbone.backbone."):
            keys = (f"{prefix}{backbone}a", f"{prefix}{backbone}b", f"{prefix}head.c")
            assert convert.checked(dict.fromkeys(keys, value), layout).keys() == layout.keys()
    with pytest.raises(WeightsError, match="1 of its 3 tensors are missing"):
        convert.checked({"backbone.a": value, "backbone.b": value}, layout)


def test_written_files_are_safetensors(tmp_path):
    """The writer, against the format's own library; tensors are aligned, whatever the order of their names."""
    from safetensors import safe_open
    from safetensors.torch import load_file

    tensors = {
        "b": np.arange(3, dtype=np.float32),
        "a": np.array(7, np.int64),
        "c": np.arange(5, dtype=np.uint8),
        "d": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
        "e": np.zeros((0, 4), np.float32),
    }
    layout = {key: (value.dtype.name, value.shape) for key, value in tensors.items()}
    path = tmp_path / "x.safetensors"
    digest = convert.write(
        [{"a": tensors["a"], "b": tensors["b"]}, {k: tensors[k] for k in "cde"}], layout, path, {"n": "1"}
    )
    with safe_open(path, framework="numpy") as file:
        assert file.metadata() == {"n": "1", "tensors_sha256": digest}
        for key, value in tensors.items():
            assert np.array_equal(file.get_tensor(key), value)
            assert file.get_tensor(key).dtype == value.dtype
    assert digest == convert.tensors_sha256(tensors)
    assert load_file(path)["a"].item() == 7


def test_pull_is_not_offered_where_there_is_no_file_to_pull(tmp_path):
    from xrv_node.models import download

    assert [entry.name for entry in catalog.entries() if not entry.pullable] == ["chexpert"]
    with pytest.raises(WeightsError, match=r"get chexpert_weights\.zip from https://academictorrents"):
        download.fetch(CHEXPERT, tmp_path)


def test_a_vqgan_is_pulled_with_its_yaml(tmp_path):
    import http.server
    import threading
    from functools import partial

    from xrv_node.models import download

    source = parity.released(CASES[VQGAN.name], "F", tmp_path)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=str(source.parent))
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}"
        entry = replace(
            VQGAN, url=f"{base}/{source.name}", settings_url=f"{base}/{source.with_suffix('.yaml').name}"
        )
        file = download.fetch(entry, tmp_path / "downloads")
        server.shutdown()
    assert download.settings_file(file) == vqgan_yaml.beside(file)
    assert importing.import_file(file, entry, tmp_path / "models").dimensions == TINY_VQGAN
