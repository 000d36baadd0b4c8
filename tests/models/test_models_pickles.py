"""The restricted reader: what PyTorch writes is read, anything else is refused and never runs."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xrv_node.errors import WeightsError
from xrv_node.models import pickles

DTYPES = [
    torch.float64,
    torch.float32,
    torch.float16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
]


@pytest.fixture(scope="module", params=["legacy", "zip"])
def save(request):
    def write(value, path):
        torch.save(value, path, _use_new_zipfile_serialization=request.param == "zip")
        return path

    return write


def same(read, expected):
    assert read.keys() == expected.keys()
    for key, value in expected.items():
        assert np.array_equal(read[key], value.detach().numpy())
        assert read[key].dtype == value.detach().numpy().dtype


# ------------------------------------------------------------------ what is read


def test_state_dict_of_every_dtype(save, tmp_path):
    state = {str(dtype): (torch.arange(24) % 5).reshape(2, 3, 4).to(dtype) for dtype in DTYPES}
    same(pickles.read_tensors(save(OrderedDict(state), tmp_path / "w.pt")), state)


def test_views_scalars_and_empty_tensors(save, tmp_path):
    base = torch.arange(60.0).reshape(3, 4, 5)
    state = {
        "t": base.permute(2, 0, 1),
        "v": base[1, 1:, ::2],
        "whole": base,
        "0": torch.tensor(7),
        "none": torch.empty(0, 3),
    }
    same(pickles.read_tensors(save(state, tmp_path / "w.pt")), state)


def test_whole_modules(save, tmp_path):
    network = torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 3),
        torch.nn.BatchNorm2d(2),
        torch.nn.ReLU(),
        torch.nn.Sequential(torch.nn.Linear(2, 3)),
    )
    same(pickles.read_tensors(save(network, tmp_path / "w.pt")), network.state_dict())


def test_whole_torchxrayvision_module(released):
    from recipes import recipe

    from xrv_node.models import catalog

    same(pickles.read_tensors(released / catalog.find("all").file), recipe("densenet121", "F"))


# ------------------------------------------------------------------ what is refused


class Runs:
    """Unpickled freely, it would leave a file behind."""

    def __init__(self, call, *args):
        self.call, self.args = call, args

    def __reduce__(self):
        return self.call, self.args


def hostile(path):
    witness = f"touch {path}"
    import builtins
    import subprocess

    return {
        "os.system": Runs(os.system, witness),
        "subprocess": Runs(subprocess.getoutput, witness),
        "eval": Runs(builtins.eval, f"open({str(path)!r}, 'w')"),
        "exec": Runs(builtins.exec, f"open({str(path)!r}, 'w')"),
        "getattr": Runs(builtins.getattr, "x", "format"),
        "open": Runs(builtins.open, str(path), "w"),
        "torch.load": Runs(torch.load, str(path)),
        "numpy": Runs(np.fromfile, str(path)),
    }


@pytest.mark.parametrize("name", hostile("x"))
@pytest.mark.parametrize("depth", ["alone", "in a state dict", "in a module"])
def test_code_does_not_run(name, depth, save, tmp_path):
    witness = tmp_path / "ran"
    value = hostile(witness)[name]
    if depth == "in a state dict":
        value = {"weight": torch.zeros(2), "extra": [value]}
    elif depth == "in a module":
        module = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1))
        module[0].extra = value
        value = module
    with pytest.raises(WeightsError, match=r"the weights file asks for \w+"):
        pickles.read_tensors(save(value, tmp_path / "w.pt"))
    assert not witness.exists()


def legacy(root: bytes, keys: bytes = b"\x80\x02].", storages: bytes = b"") -> bytes:
    head = (pickles.LEGACY_MAGIC, pickles.LEGACY_PROTOCOL, {"little_endian": True})
    return b"".join(pickle.dumps(part, 2) for part in head) + root + keys + storages


STORAGE = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
"""The beginning of a storage's persistent id with key 0."""


def tensor(numel: int, offset: int, size: tuple, stride: tuple) -> bytes:
    """A state dict with one tensor, put together by hand."""
    number = lambda n: b"\x8a\x08" + struct.pack("<q", n)  # noqa: E731
    numbers = lambda ns: b"(" + b"".join(map(number, ns)) + b"t"  # noqa: E731
    storage = STORAGE + number(numel) + b"NtQ"
    call = (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + storage
        + number(offset)
        + numbers(size)
        + numbers(stride)
        + b"\x89NtR"
    )
    return b"\x80\x02}X\x01\x00\x00\x00w" + call + b"s."


KEYS = b"\x80\x02]X\x01\x00\x00\x000a."


def read(data: bytes, tmp_path):
    path = tmp_path / "w.pt"
    path.write_bytes(data)
    return pickles.read_tensors(path)


def test_tensor_put_together_by_hand_is_read(tmp_path):
    data = legacy(tensor(4, 0, (2, 2), (2, 1)), KEYS, struct.pack("<q4f", 4, 1, 2, 3, 4))
    assert read(data, tmp_path)["w"].tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    "root",
    [
        tensor(2**40, 0, (2**40,), (1,)),  # more than the file holds
        tensor(4, 0, (2**20, 2**20), (0, 0)),  # a terabyte out of one number
        tensor(4, 0, (2, 2), (2, 2)),  # reaches behind its storage
        tensor(4, 3, (2,), (1,)),
        tensor(4, -1, (2,), (1,)),
        tensor(4, 0, (2,), (-1,)),
        tensor(4, 0, (2, 2), (1,)),
        tensor(-4, 0, (2,), (1,)),
    ],
)
def test_false_sizes_are_refused(root, tmp_path):
    with pytest.raises(WeightsError):
        read(legacy(root, KEYS, struct.pack("<q4f", 4, 1, 2, 3, 4)), tmp_path)


@pytest.mark.parametrize(
    "root",
    [
        b"\x80\x02ctorch.nn.modules.conv\nConv2d\n)\x81}X\x03\x00\x00\x00abcX\x01\x00\x00\x00xsb.",  # a module, no tensors
        b"\x80\x02X\x05\x00\x00\x00helloQ.",  # a persistent id that is no tuple
        b"\x80\x02(X\x06\x00\x00\x00modulecos\nsystem\nX\x01\x00\x00\x00xX\x01\x00\x00\x00ytQ.",  # class smuggled in
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x08\x00\x00\x00__code__K\x01sb.",  # state for a function
        b"\x80\x02ccollections\nOrderedDict\nN}X\x06\x00\x00\x00updateK\x01s\x86b.",  # attributes for a class
        b"\x80\x02ctorch\nFloatStorage\n)R.",  # calling what is no function
        b"\x80\x02\x8e" + struct.pack("<Q", 2**40) + b"x.",  # a terabyte of bytes
        b"\x80\x05\x96" + struct.pack("<Q", 2**45) + b"x.",  # a bytearray without end
        b"\x80\x02Nr\xff\xff\xff\x7f.",  # a memo of two thousand million places
        b"\x80\x02\x82\x01.",  # extension registry
        b"\x80\x04\x8c\x02os\x8c\x06system\x93.",  # names from the stack
        b"\x80\x04\x8c\x0btorch._utils\x8c\x20_rebuild_tensor_v2.__globals__.x\x93.",
        b"\x80\x02K\x01.",  # no state dict
    ],
)
def test_hand_made_pickles_are_refused(root, tmp_path):
    try:
        tensors = read(legacy(root), tmp_path)
    except WeightsError:
        return
    assert tensors == {}


def test_modules_without_end_are_refused(tmp_path):
    """A module that is its own child; unpickling it is easy, walking it is not."""
    loop = b"\x80\x02ctorch.nn.modules.container\nSequential\n)\x81q\x00}X\x08\x00\x00\x00_modules}X\x01\x00\x00\x00ah\x00ssb."
    with pytest.raises(WeightsError, match="without end"):
        read(legacy(loop), tmp_path)


def archive(entries: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as out:
        for name, data in entries.items():
            out.writestr(name, data)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"\n  <html>", "web page"),
        (b"{'error': 404}", "not a PyTorch"),
        (pickle.dumps({"a": 1}, 2), "damaged|not a PyTorch"),
        (archive({"a/data.pkl": b"\x80\x02}."}, zipfile.ZIP_DEFLATED), "compressed"),
        (archive({"x/readme": b""}), "damaged"),
        (archive({"a/data.pkl": b"\x80\x02}.", "a/byteorder": b"big"}), "big-endian"),
        (
            archive({"a/data.pkl": tensor(4, 0, (4,), (1,)).replace(b"NtQ", b"tQ"), "a/data/0": b"1234"}),
            "other sizes",
        ),
    ],
)
def test_what_is_no_weights_file_is_refused(data, words, tmp_path):
    with pytest.raises(WeightsError, match=words):
        read(data, tmp_path)


@pytest.fixture(scope="module")
def small():
    """A module in both formats, as bytes."""
    files = {}
    for zipped in (False, True):
        file = io.BytesIO()
        torch.save(torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3)), file, _use_new_zipfile_serialization=zipped)
        files[zipped] = file.getvalue()
    return files


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.booleans(), st.data())
def test_truncated_and_changed_files_are_refused_or_read(small, tmp_path, zipped, data):
    whole = small[zipped]
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(WeightsError):
        read(whole[:cut], tmp_path)
    place, byte = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, 255))
    try:
        tensors = read(whole[:place] + bytes([byte]) + whole[place + 1 :], tmp_path)
    except WeightsError:
        return
    assert all(value.nbytes <= len(whole) for value in tensors.values())
