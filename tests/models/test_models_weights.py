"""Importing released files, trusting them, and loading what was imported."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from recipes import recipe
from safetensors.numpy import load_file, save_file

from xrv_node import models
from xrv_node.errors import WeightsError
from xrv_node.models import catalog, convert, importing, weights

NIH = catalog.find("nih")
"""A classifier whose digest nobody has published: trusted on first use."""


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """A second, different classifier file: a plain state dict."""
    path = tmp_path_factory.mktemp("other") / "other.pt"
    torch.save(recipe("densenet121", "F2"), path)
    return path


@pytest.fixture(scope="module")
def imported(released, tmp_path_factory):
    """A model directory with the classifier ``nih``; tests that change something take a copy."""
    directory = tmp_path_factory.mktemp("models")
    importing.import_file(released / catalog.find("all").file, NIH, directory)
    return directory


@pytest.fixture
def directory(imported, tmp_path):
    return shutil.copytree(imported, tmp_path / "models")


def save(state, path):
    torch.save(state, path)
    return path


# ------------------------------------------------------------------ import


def test_import_writes_the_tensors_and_where_they_came_from(imported, released):
    source = released / catalog.find("all").file
    record = weights.installed(NIH, imported)
    assert record.source_sha256 == importing.file_sha256(source)
    assert (record.name, record.source_file, record.path) == (
        NIH.name,
        source.name,
        NIH.weights_path(imported),
    )
    stored = load_file(record.path)
    expected = {key: value.numpy() for key, value in recipe("densenet121", "F").items()}
    assert stored.keys() == expected.keys()
    assert all(np.array_equal(stored[key], expected[key]) for key in expected)
    assert record.tensors_sha256 == convert.tensors_sha256(expected)
    assert [path.name for path in imported.iterdir()] == [record.path.name]  # no parts are left


def test_load_gives_the_tensors_and_their_digest(imported):
    state, record = weights.load(NIH, imported)
    assert all(torch.equal(state[key], value) for key, value in recipe("densenet121", "F").items())
    assert record == weights.verify(NIH, imported)
    assert record.dimensions == {}


def test_published_digest_is_required(released, tmp_path):
    source = released / catalog.find("all").file
    for force in (False, True):
        with pytest.raises(
            WeightsError, match="not the released file of densenet121-res224-all: its SHA-256 is"
        ):
            importing.import_file(source, catalog.find("all"), tmp_path, force=force)
    assert not any(tmp_path.iterdir())


def test_first_file_is_trusted_and_another_one_needs_force(directory, released, other):
    importing.import_file(released / catalog.find("all").file, NIH, directory)  # the same file again
    first = weights.installed(NIH, directory)
    with pytest.raises(WeightsError, match=r"was imported from another file .* --force"):
        importing.import_file(other, NIH, directory)
    assert weights.installed(NIH, directory) == first
    second = importing.import_file(other, NIH, directory, force=True)
    assert weights.installed(NIH, directory) == second
    assert second.tensors_sha256 != first.tensors_sha256


def test_weights_of_another_network_are_refused(released, tmp_path):
    source = released / catalog.find("101-elastic").file
    with pytest.raises(
        WeightsError, match=r"cannot be used as densenet121-res224-nih: this is another network"
    ):
        importing.import_file(source, NIH, tmp_path)
    assert not any(tmp_path.iterdir())


def test_hostile_file_does_not_run_and_leaves_nothing(tmp_path):
    class Runs:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'ran'}",)

    source = save({**recipe("densenet121", "F"), "x": Runs()}, tmp_path / "hostile.pt")
    with pytest.raises(WeightsError, match=r"asks for posix.system, which weights do not need"):
        importing.import_file(source, NIH, tmp_path / "models")
    assert not (tmp_path / "ran").exists()
    assert not any((tmp_path / "models").iterdir())


def test_conversion_that_takes_too_much_is_one_clear_error(released, tmp_path, monkeypatch):
    monkeypatch.setattr(importing, "CONVERSION_SECONDS", 0.01)
    with pytest.raises(WeightsError, match="could not be converted"):
        importing.import_file(released / catalog.find("all").file, NIH, tmp_path)
    assert not any(tmp_path.iterdir())


def test_unreadable_file_is_one_clear_error(tmp_path):
    with pytest.raises(WeightsError, match="cannot be read"):
        importing.import_file(tmp_path / "nowhere.pt", NIH, tmp_path)
    with pytest.raises(WeightsError, match="cannot be read"):
        importing.import_file(tmp_path, NIH, tmp_path)


def test_files_are_recognised(released, tmp_path, other):
    assert importing.recognise(released / catalog.find("chestx_det").file).name == "chestx_det"
    with pytest.raises(WeightsError, match="--name"):
        importing.recognise(other)


# ------------------------------------------------------------------ convert's checks

TINY = {"a": ("float32", (2, 2)), "n": ("int64", ())}


def tiny(**changes):
    tensors = {"a": np.ones((2, 2), np.float32), "n": np.array(3)}
    return {key: value for key, value in (tensors | changes).items() if value is not None}


def test_prefix_is_taken_off_and_operating_points_are_left_out():
    wrapped = {f"module.{key}": value for key, value in tiny().items()}
    assert convert.checked(wrapped, TINY).keys() == TINY.keys()
    points = {"op_threshs": np.array([0.25, np.nan], np.float32)}
    assert convert.checked(tiny() | points, TINY, [0.25, np.nan]).keys() == TINY.keys()
    with pytest.raises(WeightsError, match="operating points"):
        convert.checked(tiny() | points, TINY, [0.5, np.nan])


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({}, "2 of its 2 tensors are missing"),
        (tiny(n=None), "'n' among them"),
        (tiny(b=np.ones(3)), "1 are unknown, 'b'"),
        (tiny(a=np.ones((2, 3), np.float32)), r"'a' is float32 \[2, 3\], not float32 \[2, 2\]"),
        (tiny(a=np.ones((2, 2), np.int8)), "'a' holds int8, not float32: import the weights as they were"),
        (tiny(n=np.array(0.5)), "'n' holds float64, not int64"),
        (tiny(a=np.full((2, 2), 1e300)), "values of 'a' are not finite"),
        (tiny(a=np.full((2, 2), np.inf, np.float32)), "not finite"),
        (tiny(a=np.full((2, 2), np.nan, np.float32)), "not finite"),
    ],
)
def test_what_is_not_the_network_is_refused(tensors, words):
    with pytest.raises(WeightsError, match=words):
        convert.checked(tensors, TINY)


def test_digest_is_of_names_shapes_and_bytes():
    base = convert.tensors_sha256(tiny())
    assert convert.tensors_sha256(dict(reversed(tiny().items()))) == base
    assert convert.tensors_sha256(tiny(a=np.asfortranarray(np.ones((2, 2), np.float32)))) == base
    for change in (
        {"a": np.ones((4, 1), np.float32)},
        {"n": np.array(4)},
        {"n": np.array([3])},
        {"m": np.array(3), "n": None},
    ):
        assert convert.tensors_sha256(tiny(**change)) != base


@pytest.mark.skipif(sys.platform != "linux", reason="limits are set where the platform has them")
def test_conversion_runs_under_limits():
    """A conversion that asks for more memory than its limit dies; the process that asked does not."""
    code = "from xrv_node.models import convert; convert._limit('RLIMIT_AS', 2**29); bytearray(2**30)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MemoryError" in done.stderr


# ------------------------------------------------------------------ loading


def test_damaged_files_are_refused(directory):
    path = NIH.weights_path(directory)
    whole = path.read_bytes()
    for data in (b"", whole[:100], whole[:-1], whole[:-4] + b"\0\0\0\1"):
        path.write_bytes(data)
        with pytest.raises(
            WeightsError, match="is damaged or was changed: remove it and run `xrv-node models pull"
        ):
            weights.load(NIH, directory)


def test_renamed_and_foreign_files_are_refused(directory):
    chex = catalog.find("chex")
    shutil.copy(NIH.weights_path(directory), chex.weights_path(directory))
    with pytest.raises(WeightsError, match="damaged or was changed"):  # nih's weights under another name
        weights.load(chex, directory)
    save_file({"a": np.ones(2, np.float32)}, chex.weights_path(directory))
    with pytest.raises(WeightsError, match="damaged or was changed"):
        weights.load(chex, directory)


def test_verify_knows_the_published_digest(imported):
    pinned = replace(NIH, sha256="0" * 64)
    with pytest.raises(WeightsError, match="is not from the released file"):
        weights.verify(pinned, imported)


def test_missing_weights_name_the_remedy(imported, tmp_path):
    assert models.missing(["nih", "chestx_det"], imported) == ["chestx_det"]
    assert models.missing(["nih"], tmp_path / "nowhere") == [NIH.name]
    with pytest.raises(
        WeightsError, match=r"models pull chestx_det 101-elastic` or, .* import FILE`; or add --commissioning"
    ):
        models.load_set("nih", "chestx_det", "101-elastic", imported)


@pytest.mark.parametrize(
    ("name", "words", "others"),
    [
        (
            "chexpert",
            "import chexpert_weights.zip`; or add --commissioning",
            "pull",
        ),  # a torrent, no download
        ("riken", "models pull riken` or", "--commissioning"),  # nothing can stand in for a program
    ],
)
def test_the_remedy_is_one_that_there_is(name, words, others, tmp_path):
    with pytest.raises(WeightsError) as error:
        models.get_model(name, tmp_path, run_code=True)
    assert words in str(error.value)
    assert others not in str(error.value)


def test_nothing_heavy_is_imported():
    code = (
        "import sys, pathlib; from xrv_node import models; models.missing(['all'], pathlib.Path('x'));"
        "print([name for name in ('torch', 'torchvision', 'numpy', 'safetensors', 'cv2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
