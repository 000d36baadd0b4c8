"""Turns a released weights file into safetensors, in a process of its own.

``python -m xrv_node.models.convert`` reads one job as JSON from its standard input and answers on its
standard output. It limits its memory, its processor time and what it may write before it opens the file:
should a hostile file get the better of the reader, the process that asked is not the one that dies. Without
torch, so that a start costs little.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from xrv_node.errors import WeightsError
from xrv_node.models import numbers, pickles, safetensors_file
from xrv_node.models.baselines import chexpert_members

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

Layout = dict[str, tuple[str, tuple[int, ...]]]
"""State dict key to (numpy dtype, shape)."""

PREFIXES = ("module.", "model.", "net.")
"""What DataParallel and trainers put before every key."""

TRAINING = "loss."
"""What a VQGAN was trained against: other networks, in the same file."""

BACKBONE = "backbone."
"""Which some files of the 159 structures have once and others twice."""

THRESHOLDS = "op_threshs"
"""A buffer that torchxrayvision adds to a classifier that it has loaded: operating points, not weights."""

CPU_SECONDS = 300
"""PSPNet takes two, the 90 networks of the ensemble a minute."""

SAFE_DTYPES = {np.dtype(kind).name: name for name, kind in numbers.SAFETENSORS.items() if name != "BF16"}
"""How safetensors calls numpy's kinds of numbers."""

_LONGEST = 80  # characters that are kept free in a header for the kinds of numbers of the source
_OTHER = "say with --name which it is, or with --like from which one you fine-tuned it"


def tensors_sha256(tensors: Mapping[str, NDArray[Any]]) -> str:
    """Hex SHA-256 over names, dtypes, shapes and bytes of tensors, whatever their order and file format."""
    digest = hashlib.sha256()
    for key in sorted(tensors):
        _digest(digest, key, np.ascontiguousarray(tensors[key]).reshape(tensors[key].shape))
    return digest.hexdigest()


def _digest(digest: hashlib._Hash, key: str, value: NDArray[Any]) -> None:
    digest.update(f"{key} {value.dtype.name} {list(value.shape)}\n".encode())
    digest.update(value.data)


def renamed(tensors: Mapping[str, NDArray[Any]], layout: Layout) -> dict[str, NDArray[Any]]:
    """Return tensors by the network's own names, as torchxrayvision brings them there."""
    found = {key: value for key, value in tensors.items() if not key.startswith(TRAINING)}
    for prefix in PREFIXES:
        if found and all(key.startswith(prefix) for key in found):
            found = {key.removeprefix(prefix): value for key, value in found.items()}
            break
    nested = (
        key if key in layout or f"{BACKBONE}{key}" not in layout else f"{BACKBONE}{key}" for key in found
    )
    return dict(zip(nested, found.values(), strict=True))


def checked(
    tensors: Mapping[str, NDArray[Any]],
    layout: Layout,
    thresholds: Sequence[float] = (),
    kinds: set[str] | None = None,
) -> dict[str, NDArray[Any]]:
    """Return the tensors of a network, once they are exactly those.

    Parameters
    ----------
    tensors
        As read; names are brought to the network's own (``renamed``), and torchxrayvision's operating points
        are compared and left out. Floating numbers of other precisions become float32.
    layout
        What the network needs.
    thresholds
        The operating points of the weights that these should be.
    kinds
        Gets the names of the kinds of numbers that were converted, e.g. ``float16``.

    Raises
    ------
    WeightsError
        Missing or unknown keys, other shapes or dtypes, values that are not finite, operating points of other
        weights.
    """
    found = renamed(tensors, layout)
    own_thresholds = found.pop(THRESHOLDS, None)
    missing, unknown = layout.keys() - found.keys(), found.keys() - layout.keys()
    if missing or unknown:
        example = min(missing or unknown)[:80]
        raise WeightsError(
            f"this is another network: {len(missing)} of its {len(layout)} tensors are missing and "
            f"{len(unknown)} are unknown, {example!r} among them; {_OTHER}"
        )
    for key, (dtype, shape) in layout.items():
        kind = numbers.name(found[key])
        if found[key].shape != shape:
            raise WeightsError(
                f"this is another network: {key!r} is {kind} {list(found[key].shape)}, not {dtype} "
                f"{list(shape)}; {_OTHER}"
            )
        found[key] = numbers.converted(found[key], dtype)
        if found[key].dtype.name != dtype:
            raise WeightsError(
                f"{key!r} holds {kind}, not {dtype}: import the weights as they were before they were "
                "quantised"
            )
        if kind != dtype and kinds is not None:
            kinds.add(kind)
    if own_thresholds is not None and not _alike(own_thresholds, thresholds):
        raise WeightsError("the operating points in the file are those of other weights: choose another name")
    if damaged := [key for key in layout if not np.isfinite(found[key]).all()]:
        raise WeightsError(f"values of {damaged[0]!r} are not finite: the file is damaged, download it again")
    return found


def _alike(found: NDArray[Any], thresholds: Sequence[float]) -> bool:
    """Whether operating points are those that are known, to the precision that they were saved in."""
    eps = {"float16": 2**-10, "bfloat16": 2**-7}.get(numbers.name(found), 1e-5)
    values = numbers.as_float32(found)
    return values.shape == np.shape(thresholds) and np.allclose(values, thresholds, rtol=eps, equal_nan=True)


def pieces(job: Mapping[str, Any], layout: Layout, kinds: set[str]) -> Iterator[dict[str, NDArray[Any]]]:
    """Read and check a released file, in parts where it has parts, in the order of their keys."""
    source, checkpoint = Path(job["source"]), job["checkpoint"]
    if checkpoint == "members":
        for prefix, tensors in chexpert_members.read(source, job["settings"]["members"]):
            part = {key: value for key, value in layout.items() if key.startswith(prefix)}
            yield checked(tensors, part, kinds=kinds)
    elif checkpoint == "program":
        yield checked({"archive": pickles.read_program(source)}, layout)
    else:
        yield checked(read(source, lenient=checkpoint == "lightning"), layout, job["thresholds"], kinds)


def read(source: Path, *, lenient: bool = False) -> dict[str, NDArray[Any]]:
    """Return the tensors of a PyTorch or a safetensors file (``pickles.read_tensors``)."""
    if source.suffix == ".safetensors":
        return safetensors_file.read_tensors(source)
    return pickles.read_tensors(source, lenient=lenient)


def whatever(source: Path, kinds: set[str]) -> tuple[dict[str, NDArray[Any]], Layout]:
    """Return all tensors of a file of a network that is not known, floating ones as float32, and their
    layout."""
    found = {}
    for key, value in read(source, lenient=True).items():
        found[key] = numbers.converted(value, "float32")
        if numbers.name(found[key]) != numbers.name(value):
            kinds.add(numbers.name(value))
    return found, {key: (value.dtype.name, value.shape) for key, value in found.items()}


def run(job: dict[str, Any]) -> dict[str, str]:
    """Read, check and write.

    Parameters
    ----------
    job
        ``source`` and ``target`` (paths), ``checkpoint`` (``entry.Checkpoint``), ``settings`` (the
        network's dimensions), ``layout``, ``thresholds`` (as ``checked``) and ``metadata`` (strings for the
        target's header, to which the digest is added as ``tensors_sha256``, and where numbers were converted
        their kinds as ``source_dtype``). Without ``layout`` all tensors are written as they are found
        (``whatever``).

    Returns
    -------
    dict
        ``tensors_sha256`` and ``source_dtype``; or ``error``, the one sentence of a ``WeightsError``.
    """
    source, target = Path(job["source"]), Path(job["target"])
    layout = {key: (dtype, tuple(shape)) for key, (dtype, shape) in (job["layout"] or {}).items()}
    size, kinds = source.stat().st_size, set[str]()
    # half precision becomes twice as large
    written = sum(_bytes(dtype, shape) for dtype, shape in layout.values()) or 2 * size
    _limit("RLIMIT_AS", 2**31 + 4 * (size + written))
    _limit("RLIMIT_CPU", CPU_SECONDS)
    _limit("RLIMIT_FSIZE", written + 2**26)
    try:
        if layout:
            parts = pieces(job, layout, kinds)
        else:
            tensors, layout = whatever(source, kinds)
            parts = iter([tensors])
        digest = write(parts, layout, target, job["metadata"], kinds)
        return {"tensors_sha256": digest, "source_dtype": listed(kinds)}
    except WeightsError as error:
        return {"error": str(error)}


def listed(kinds: Iterable[str]) -> str:
    """Return kinds of numbers as the header of a file names them."""
    return ", ".join(sorted(kinds))[:_LONGEST]


def write(
    parts: Iterable[Mapping[str, NDArray[Any]]],
    layout: Layout,
    target: Path,
    metadata: Mapping[str, str],
    kinds: Iterable[str] = (),
) -> str:
    """Write tensors as safetensors, one part after the other: the ensemble's are larger than some memories.

    The format: a little-endian uint64, a JSON header of that length, then the tensors' bytes.

    Parameters
    ----------
    parts
        Everything in `layout`, in the order of the keys.
    layout
        What the parts hold together.
    target
        Written anew.
    metadata
        For the header.
    kinds
        Of numbers that were converted while `parts` were made: for the header, where there are any.

    Returns
    -------
    str
        ``tensors_sha256`` of all tensors, which is put into the header too.
    """
    told = {**metadata, "tensors_sha256": "0" * 64, "source_dtype": " " * _LONGEST}
    header: dict[str, Any] = {"__metadata__": told}
    starts, end = {}, 0
    for key in sorted(
        layout, key=lambda key: (-np.dtype(layout[key][0]).itemsize, key)
    ):  # keeps them aligned
        dtype, shape = layout[key]
        starts[key], end = end, end + _bytes(dtype, shape)
        header[key] = {"dtype": SAFE_DTYPES[dtype], "shape": shape, "data_offsets": [starts[key], end]}
    digest = hashlib.sha256()
    with target.open("wb") as file:
        data = _write_header(file, header)
        for part in parts:
            for key in sorted(part):
                value = np.ascontiguousarray(part[key]).reshape(part[key].shape)
                _digest(digest, key, value)
                file.seek(data + starts[key])
                file.write(value.data)
        del told["source_dtype"]
        told |= {"tensors_sha256": digest.hexdigest()} | ({"source_dtype": listed(kinds)} if kinds else {})
        file.seek(0)
        _write_header(file, header, data - 8)
    return digest.hexdigest()


def _write_header(file: BinaryIO, header: Mapping[str, Any], length: int = 0) -> int:
    """Write length and header, padded to eight bytes and to `length`, and return where the tensors begin."""
    text = json.dumps(header, separators=(",", ":")).encode().ljust(length)
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    return 8 + len(text)


def _bytes(dtype: str, shape: Sequence[int]) -> int:
    return math.prod(shape) * np.dtype(dtype).itemsize


def _limit(name: str, value: int) -> None:
    """Lower a limit of this process, where the platform has limits (Windows does not)."""
    try:
        resource = importlib.import_module("resource")
    except ModuleNotFoundError:
        return
    kind = getattr(resource, name)
    _, hard = resource.getrlimit(kind)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run(json.load(sys.stdin))))
