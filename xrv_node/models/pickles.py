"""Reads the tensors out of a PyTorch checkpoint, and nothing else. No torch, no code from the file.

The released weights are pickles, and unpickling runs whatever a file names. Here a name is looked up in a
short table and stands for something inert; any other name ends the reading. What remains is plain records,
whose sizes are checked against the bytes that are really there before an array is made.
"""

from __future__ import annotations

import math
import mmap
import pickle
import struct
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from xrv_node.errors import WeightsError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
"""The first of the five pickles of a file that PyTorch before 1.6 wrote."""

LEGACY_PROTOCOL = 1001
"""The second one."""

MAX_OBJECTS = 20_000
"""Modules and tables that are walked in one file; the largest network here needs fewer than 4000."""


@dataclass(frozen=True, slots=True)
class _StorageType:
    dtype: str


@dataclass(frozen=True, slots=True)
class _Storage:
    key: str
    dtype: str
    numel: int


@dataclass(frozen=True, slots=True)
class _Tensor:
    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class _Inert:
    """Stands for an object of any class that a file may name: it keeps its state and does nothing."""

    state: ClassVar[dict[str, Any]] = {}

    def __new__(cls, *_: object) -> _Inert:
        return object.__new__(cls)

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, state: object) -> None:
        self.__dict__["state"] = state if isinstance(state, dict) else {}


def _sizes(values: object) -> tuple[int, ...]:
    if not isinstance(values, tuple) or not all(type(value) is int and value >= 0 for value in values):
        raise WeightsError("the weights file describes a tensor in a form that PyTorch does not write")
    return values


def _rebuild_tensor(storage: object, offset: object, size: object, stride: object, *_: object) -> _Tensor:
    if not isinstance(storage, _Storage) or len(_sizes(size)) != len(_sizes(stride)):
        raise WeightsError("the weights file describes a tensor in a form that PyTorch does not write")
    return _Tensor(storage, _sizes((offset,))[0], _sizes(size), _sizes(stride))


def _rebuild_parameter(data: object, *_: object) -> object:
    return data


STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "|i1",
    "ByteStorage": "|u1",
    "BoolStorage": "|b1",
}
"""Storage classes of ``torch`` and the little-endian numpy types of their bytes."""

MODULES = {
    "torchxrayvision.models": ("DenseNet", "_DenseBlock", "_DenseLayer", "_Transition"),
    "torch.nn.modules.container": ("Sequential",),
    "torch.nn.modules.conv": ("Conv2d",),
    "torch.nn.modules.batchnorm": ("BatchNorm2d",),
    "torch.nn.modules.activation": ("ReLU",),
    "torch.nn.modules.pooling": ("MaxPool2d", "AvgPool2d"),
    "torch.nn.modules.linear": ("Linear",),
    # a function in files of PyTorch up to 1.2; its result is never used
    "torch.nn.backends.thnn": ("_get_thnn_function_backend",),
}
"""What the released DenseNets, pickled as whole modules, name. None of it is imported."""

ALLOWED: dict[tuple[str, str], object] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("__builtin__", "set"): set,
    ("builtins", "set"): set,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    **{("torch", name): _StorageType(dtype) for name, dtype in STORAGES.items()},
    **{(module, name): _Inert for module, names in MODULES.items() for name in names},
}
"""Every name that a file may use, and what stands for it."""


class _Reader(pickle.Unpickler):
    """An unpickler that knows ``ALLOWED`` and nothing else."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        try:
            return ALLOWED[module, name]
        except KeyError:
            raise WeightsError(
                f"the weights file asks for {module}.{name}, which weights do not need: it was not read"
            ) from None

    def persistent_load(self, pid: Any) -> object:
        match pid:
            case ("module", cls, *_):  # with the class's source text, in legacy files
                return cls
            case ("storage", _StorageType(dtype), str(key), _, int(numel)) | (
                "storage",
                _StorageType(dtype),
                str(key),
                _,
                int(numel),
                None,
            ):
                storage = _Storage(key, dtype, numel)
                if self.storages.setdefault(key, storage) != storage:
                    raise WeightsError(f"the weights file describes its storage {key[:40]!r} in two ways")
                return storage
        raise WeightsError("the weights file refers to data in a form that PyTorch does not write")


def read_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """Return the tensors of a checkpoint: a state dict or a whole module, of PyTorch before or since 1.6.

    Parameters
    ----------
    path
        The file as it was released.

    Returns
    -------
    dict
        State dict key to array; read-only views, backed by the file as long as they live.

    Raises
    ------
    WeightsError
        Not a checkpoint, truncated, inconsistent, or it names something outside ``ALLOWED``.
    """
    if path.stat().st_size == 0:
        raise WeightsError(f"{path.name} is empty: download it again")
    with path.open("rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    start = data[:256].lstrip()
    if start[:1] == b"<":
        raise WeightsError(f"{path.name} is a web page, not weights: download it again")
    if not start.startswith((b"PK\x03\x04", b"\x80\x02")):
        raise WeightsError(f"{path.name} is not a PyTorch weights file")
    try:
        root, storages = _read_zip(path) if start.startswith(b"PK") else _read_legacy(data)
        return {name: _array(tensor, storages[tensor.storage.key]) for name, tensor in _named(root).items()}
    except WeightsError:
        raise
    except Exception as error:  # whatever the bytes make pickle, zipfile or numpy raise
        raise WeightsError(
            f"{path.name} is damaged or truncated ({type(error).__name__}): download it again"
        ) from error


def _read_legacy(data: mmap.mmap) -> tuple[object, dict[str, NDArray[Any]]]:
    """Five pickles (magic, protocol, system, object, storage keys), then each storage: int64 count, bytes."""
    magic, protocol, system = (_Reader(data).load() for _ in range(3))
    if magic != LEGACY_MAGIC or protocol != LEGACY_PROTOCOL or system.get("little_endian") is not True:
        raise WeightsError("this is a pickle, but not a PyTorch weights file")
    reader = _Reader(data)
    root = reader.load()
    keys = _Reader(data).load()
    position = data.tell()
    storages = {}
    for key in keys:
        storage = reader.storages[key]
        (numel,) = struct.unpack_from("<q", data, position)
        if numel != storage.numel:
            raise WeightsError(f"the weights file announces {storage.numel} values and then holds {numel}")
        storages[key] = np.frombuffer(data, storage.dtype, numel, position + 8)
        position += 8 + storages[key].nbytes
    return root, storages


def _read_zip(path: Path) -> tuple[object, dict[str, NDArray[Any]]]:
    """``NAME/data.pkl`` with the object, ``NAME/data/KEY`` with each storage; nothing is compressed."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        (index,) = (name for name in names if name.count("/") == 1 and name.endswith("/data.pkl"))
        folder = index.removesuffix("data.pkl")
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise WeightsError("the weights file is compressed, which PyTorch never does: it was not read")
        if f"{folder}byteorder" in names and archive.read(f"{folder}byteorder") != b"little":
            raise WeightsError("the weights file is from a big-endian machine: save it again on another")
        reader = _Reader(BytesIO(archive.read(index)))
        root = reader.load()
        storages = {}
        room = path.stat().st_size
        for key, storage in reader.storages.items():
            entry = archive.getinfo(f"{folder}data/{key}")
            room -= entry.file_size  # entries that overlap could make a small file a large one
            if room < 0 or entry.file_size != storage.numel * np.dtype(storage.dtype).itemsize:
                raise WeightsError("the weights file announces other sizes than it holds")
            storages[key] = np.frombuffer(archive.read(entry), storage.dtype)
    return root, storages


def _named(root: object) -> dict[str, _Tensor]:
    """Name the tensors of a state dict, or of a module as its ``state_dict()`` would."""
    if not isinstance(root, _Inert | dict):
        raise WeightsError("the weights file holds neither a state dict nor a network")
    tensors: dict[str, _Tensor] = {}
    waiting = [("", root)]
    for _ in range(MAX_OBJECTS):
        if not waiting:
            return tensors
        prefix, node = waiting.pop()
        if isinstance(node, _Inert):
            groups = (node.state.get(group) for group in ("_parameters", "_buffers", "_modules"))
            waiting += [(prefix, group) for group in groups if isinstance(group, dict)]
            continue
        for name, value in node.items():
            if isinstance(value, _Tensor):
                tensors[f"{prefix}{name}"] = value
            elif isinstance(value, _Inert):
                waiting.append((f"{prefix}{name}.", value))
    raise WeightsError("the weights file nests modules without end")


def _array(tensor: _Tensor, storage: NDArray[Any]) -> NDArray[Any]:
    """View a tensor in its storage; nothing is allocated, and nothing outside the storage is reached."""
    elements = math.prod(tensor.size)
    last = tensor.offset + sum((n - 1) * step for n, step in zip(tensor.size, tensor.stride, strict=True))
    if elements > storage.size or (elements and last >= storage.size):
        raise WeightsError("the weights file describes a tensor that is larger than its data")
    if not elements:
        return np.empty(tensor.size, storage.dtype)
    strides = [step * storage.itemsize for step in tensor.stride]
    return np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.size, strides, writeable=False)
