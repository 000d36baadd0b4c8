"""What stands for the names that a PyTorch checkpoint may hold: plain records, and objects that do nothing.

Imports none of what the names mean.
"""

from __future__ import annotations

import sys
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, ClassVar

from xrv_node.errors import WeightsError
from xrv_node.models.numbers import BFLOAT16


@dataclass(frozen=True, slots=True)
class StorageType:
    dtype: str


@dataclass(frozen=True, slots=True)
class Storage:
    key: str
    dtype: str
    numel: int


@dataclass(frozen=True, slots=True)
class Tensor:
    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class Inert:
    """Stands for an object of any class that a file may name: it keeps its state and does nothing."""

    state: ClassVar[dict[str, Any]] = {}

    def __new__(cls, *_: object) -> Inert:
        return object.__new__(cls)

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, state: object) -> None:
        self.__dict__["state"] = state if isinstance(state, dict) else {}

    # what a pickle does to objects that are also lists or dicts
    def __setitem__(self, key: object, value: object) -> None: ...
    def append(self, item: object) -> None: ...
    def extend(self, items: object) -> None: ...


def _sizes(values: object) -> tuple[int, ...]:
    if not isinstance(values, tuple) or not all(type(value) is int and value >= 0 for value in values):
        raise WeightsError("the weights file describes a tensor in a form that PyTorch does not write")
    return values


def _rebuild_tensor(storage: object, offset: object, size: object, stride: object, *_: object) -> Tensor:
    if not isinstance(storage, Storage) or len(_sizes(size)) != len(_sizes(stride)):
        raise WeightsError("the weights file describes a tensor in a form that PyTorch does not write")
    return Tensor(storage, _sizes((offset,))[0], _sizes(size), _sizes(stride))


def _rebuild_parameter(data: object, *_: object) -> object:
    return data


STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": BFLOAT16,
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "|i1",
    "ByteStorage": "|u1",
    "BoolStorage": "|b1",
}
"""Storage classes of ``torch`` and the little-endian numpy types of their bytes (``numbers``)."""

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
    **{("torch", name): StorageType(dtype) for name, dtype in STORAGES.items()},
    **{(module, name): Inert for module, names in MODULES.items() for name in names},
}
"""Every name that a file may use, and what stands for it."""

HARMLESS = {
    "_codecs": ("encode",),
    "argparse": ("Namespace",),
    "builtins": ("bool", "bytearray", "complex", "dict", "frozenset", "list", "object", "slice", "tuple"),
    "collections": ("Counter", "defaultdict", "deque"),
    "copyreg": ("_reconstructor",),
    "datetime": ("date", "datetime", "timedelta"),
    "functools": ("partial",),
    "pathlib": ("Path", "PosixPath", "PurePath", "PurePosixPath", "WindowsPath"),
}
"""What a trainer's checkpoint may name of Python's own modules, by their names since Python 3."""


def stands_for(module: str, name: str, lenient: bool) -> object:
    """Return what stands for a name in a pickle; None for a name that ends the reading.

    A trainer's checkpoint keeps its callbacks, counters and arguments beside the weights, of packages that
    are not known here. If `lenient`, such names stand for something inert too. Python's own functions, with
    which a pickle does harm, are refused all the same: a file that names them is not what it says.
    """
    if (module, name) in ALLOWED:
        return ALLOWED[module, name]
    # a pickle of protocol 2 calls things as Python 2 did: subprocess.getoutput is commands.getoutput there
    module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
    root = module.partition(".")[0]
    known = name in HARMLESS.get(root, ()) or root not in sys.stdlib_module_names
    return Inert if lenient and known else None
