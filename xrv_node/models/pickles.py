"""Reads the tensors out of a PyTorch checkpoint, and nothing else. No torch, no code from the file.

The released weights are pickles, and unpickling runs whatever a file names. Here a name is looked up in a
short table and stands for something inert; any other name ends the reading. What remains is plain records,
whose sizes are checked against the bytes that are really there before an array is made.

torch's own ``weights_only`` does not do: it refuses a module that was saved whole, as the released DenseNets
were. Files have got past it, to run code (CVE-2025-32434, before torch 2.6) and to corrupt memory
(CVE-2026-24747, before 2.10), and the node runs on torch 2.6. And without torch the process that opens a
stranger's file starts at once and can be held to little memory (``convert``).
"""

from __future__ import annotations

import math
import mmap
import pickle
import struct
import zipfile
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from xrv_node.errors import WeightsError
from xrv_node.models.pickle_stand_ins import Inert, Storage, StorageType, Tensor, stands_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

T = TypeVar("T")

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
"""The first of the five pickles of a file that PyTorch before 1.6 wrote."""

LEGACY_PROTOCOL = 1001
"""The second one."""

MAX_OBJECTS = 20_000
"""Modules and tables that are walked in one file; the largest network here needs fewer than 4000."""


class _Reader(pickle.Unpickler):
    """An unpickler for which every name is a stand-in (``stands_for``)."""

    def __init__(self, stream: Any, lenient: bool = False) -> None:
        super().__init__(stream)
        self.storages: dict[str, Storage] = {}
        self.lenient = lenient

    def find_class(self, module: str, name: str) -> Any:
        found = stands_for(module, name, self.lenient)
        if found is None:
            raise WeightsError(
                f"the weights file asks for {module}.{name}, which weights do not need: it was not read, and "
                "nothing of it was run; get the file from those who released it"
            )
        return found

    def persistent_load(self, pid: Any) -> object:
        match pid:
            case ("module", cls, *_):  # with the class's source text, in legacy files
                return cls
            case ("storage", StorageType(dtype), str(key), _, int(numel)) | (
                "storage",
                StorageType(dtype),
                str(key),
                _,
                int(numel),
                None,
            ):
                storage = Storage(key, dtype, numel)
                if self.storages.setdefault(key, storage) != storage:
                    raise WeightsError(f"the weights file describes its storage {key[:40]!r} in two ways")
                return storage
        raise WeightsError("the weights file refers to data in a form that PyTorch does not write")


WRAPPERS = ("state_dict", "model_state", "model_state_dict", "model", "network", "net")
"""Under which a checkpoint may hold its state dict, beside what else the training needed."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A file that was read: plain values and inert stand-ins."""

    root: object
    storages: dict[str, NDArray[Any]]

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Return the state dict: of a wrapping checkpoint the one inside, of a module its ``state_dict()``.

        Raises
        ------
        WeightsError
            There is none, or a tensor reaches outside its data.
        """
        found = self.root
        while isinstance(found, dict):
            inside = (found[key] for key in WRAPPERS if isinstance(found.get(key), dict))
            if (wrapped := next(inside, None)) is None:
                break
            found = wrapped
        return {
            name: _array(tensor, self.storages[tensor.storage.key]) for name, tensor in _named(found).items()
        }


def read_tensors(path: Path, *, lenient: bool = False) -> dict[str, NDArray[Any]]:
    """Return the tensors of a checkpoint: a state dict or a whole module, of PyTorch before or since 1.6.

    Parameters
    ----------
    path
        The file as it was released.
    lenient
        As ``read``.

    Returns
    -------
    dict
        State dict key to array; read-only views, backed by the file as long as they live.

    Raises
    ------
    WeightsError
        As ``read``, or no state dict in it.
    """
    return _guarded(path.name, lambda: read(path, lenient=lenient).tensors())


def read(path: Path, member: str | None = None, *, lenient: bool = False) -> Checkpoint:
    """Read a checkpoint; nothing in it is executed.

    Parameters
    ----------
    path
        The file as it was released.
    member
        If `path` is a zip of checkpoints, which of them.
    lenient
        Let the file name what is not in ``ALLOWED`` (``stands_for``): a trainer's checkpoint.

    Raises
    ------
    WeightsError
        Not a checkpoint, truncated, inconsistent, or it names something that is not allowed.
    """
    if path.stat().st_size == 0:
        raise WeightsError(f"{path.name} is empty: download it again")
    return _guarded(member or path.name, lambda: _read(path, member, lenient))


def read_program(path: Path) -> NDArray[np.uint8]:
    """Return the bytes of a TorchScript archive, uint8 ``[length]``, as they are; nothing in it is read.

    Raises
    ------
    WeightsError
        It is not such an archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            inside = {name.partition("/")[2] for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path.name} is not a whole TorchScript file: download it again") from error
    if not {"data.pkl", "constants.pkl"} <= inside or not any(name.startswith("code/") for name in inside):
        raise WeightsError(f"{path.name} is not a TorchScript file: import the file as it was released")
    return np.fromfile(path, np.uint8)


def _guarded(name: str, action: Callable[[], T]) -> T:
    """Turn whatever the bytes make pickle, zipfile or numpy raise into a sentence."""
    try:
        return action()
    except WeightsError:
        raise
    except Exception as error:
        raise WeightsError(
            f"{name} is damaged or truncated ({type(error).__name__}): download it again"
        ) from error


def _read(path: Path, member: str | None, lenient: bool) -> Checkpoint:
    data: mmap.mmap | BytesIO
    if member is None:
        with path.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    else:
        with zipfile.ZipFile(path) as archive:
            data = BytesIO(archive.read(member))
    name = member or path.name
    start = data.read(256).lstrip()
    data.seek(0)
    if start[:1] == b"<":
        raise WeightsError(f"{name} is a web page, not weights: download it again")
    if start.startswith(b"PK\x03\x04"):
        return _read_zip(data if isinstance(data, BytesIO) else path, lenient)
    if start.startswith(b"\x80\x02"):
        return _read_legacy(data, lenient)
    raise WeightsError(f"{name} is not a PyTorch weights file: import the file as it was released")


def _read_legacy(data: mmap.mmap | BytesIO, lenient: bool) -> Checkpoint:
    """Five pickles (magic, protocol, system, object, storage keys), then each storage: int64 count, bytes."""
    magic, protocol, system = (_Reader(data).load() for _ in range(3))
    if magic != LEGACY_MAGIC or protocol != LEGACY_PROTOCOL or system.get("little_endian") is not True:
        raise WeightsError("this is a pickle, but not a PyTorch weights file")
    reader = _Reader(data, lenient)
    root = reader.load()
    keys = _Reader(data).load()
    position = data.tell()
    content = data if isinstance(data, mmap.mmap) else data.getbuffer()
    storages = {}
    for key in keys:
        storage = reader.storages[key]
        (numel,) = struct.unpack_from("<q", content, position)
        if numel != storage.numel:
            raise WeightsError(f"the weights file announces {storage.numel} values and then holds {numel}")
        storages[key] = np.frombuffer(content, storage.dtype, numel, position + 8)
        position += 8 + storages[key].nbytes
    return Checkpoint(root, storages)


def _read_zip(source: Path | BytesIO, lenient: bool) -> Checkpoint:
    """``NAME/data.pkl`` with the object, ``NAME/data/KEY`` with each storage; nothing is compressed."""
    with zipfile.ZipFile(source) as archive:
        names = archive.namelist()
        (index,) = (name for name in names if name.count("/") == 1 and name.endswith("/data.pkl"))
        folder = index.removesuffix("data.pkl")
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise WeightsError("the weights file is compressed, which PyTorch never does: it was not read")
        if f"{folder}byteorder" in names and archive.read(f"{folder}byteorder") != b"little":
            raise WeightsError("the weights file is from a big-endian machine: save it again on another")
        reader = _Reader(BytesIO(archive.read(index)), lenient)
        root = reader.load()
        storages = {}
        room = source.getbuffer().nbytes if isinstance(source, BytesIO) else source.stat().st_size
        for key, storage in reader.storages.items():
            entry = archive.getinfo(f"{folder}data/{key}")
            room -= entry.file_size  # entries that overlap could make a small file a large one
            if room < 0 or entry.file_size != storage.numel * np.dtype(storage.dtype).itemsize:
                raise WeightsError("the weights file announces other sizes than it holds")
            storages[key] = np.frombuffer(archive.read(entry), storage.dtype)
    return Checkpoint(root, storages)


def _named(root: object) -> dict[str, Tensor]:
    """Name the tensors of a state dict, or of a module as its ``state_dict()`` would."""
    if not isinstance(root, Inert | dict):
        raise WeightsError("the weights file holds neither a state dict nor a network")
    tensors: dict[str, Tensor] = {}
    waiting = [("", root)]
    for _ in range(MAX_OBJECTS):
        if not waiting:
            return tensors
        prefix, node = waiting.pop()
        if isinstance(node, Inert):
            groups = (node.state.get(group) for group in ("_parameters", "_buffers", "_modules"))
            waiting += [(prefix, group) for group in groups if isinstance(group, dict)]
            continue
        for name, value in node.items():
            if isinstance(value, Tensor):
                tensors[f"{prefix}{name}"] = value
            elif isinstance(value, Inert):
                waiting.append((f"{prefix}{name}.", value))
    raise WeightsError("the weights file nests modules without end")


def _array(tensor: Tensor, storage: NDArray[Any]) -> NDArray[Any]:
    """View a tensor in its storage; nothing is allocated, and nothing outside the storage is reached."""
    elements = math.prod(tensor.size)
    last = tensor.offset + sum((n - 1) * step for n, step in zip(tensor.size, tensor.stride, strict=True))
    if elements > storage.size or (elements and last >= storage.size):
        raise WeightsError("the weights file describes a tensor that is larger than its data")
    if not elements:
        return np.empty(tensor.size, storage.dtype)
    strides = [step * storage.itemsize for step in tensor.stride]
    return np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.size, strides, writeable=False)
