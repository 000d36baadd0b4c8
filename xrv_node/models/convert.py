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
from xrv_node.models import pickles
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

SAFE_DTYPES = {"float32": "F32", "int64": "I64", "uint8": "U8"}
"""How safetensors calls what the networks hold."""


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
    tensors: Mapping[str, NDArray[Any]], layout: Layout, thresholds: Sequence[float] = ()
) -> dict[str, NDArray[Any]]:
    """Return the tensors of a network, once they are exactly those.

    Parameters
    ----------
    tensors
        As read; names are brought to the network's own (``renamed``), and torchxrayvision's operating points
        are compared and left out.
    layout
        What the network needs.
    thresholds
        The operating points of the weights that these should be.

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
            f"{len(unknown)} are unknown, {example!r} among them; say with --name which it is"
        )
    for key, (dtype, shape) in layout.items():
        if found[key].dtype.name != dtype or found[key].shape != shape:
            raise WeightsError(
                f"this is another network: {key!r} is {found[key].dtype.name} {list(found[key].shape)}, "
                f"not {dtype} {list(shape)}; say with --name which it is"
            )
    if own_thresholds is not None and not np.allclose(own_thresholds, thresholds, rtol=1e-5, equal_nan=True):
        raise WeightsError("the operating points in the file are those of other weights: choose another name")
    if damaged := [key for key in layout if not np.isfinite(found[key]).all()]:
        raise WeightsError(f"values of {damaged[0]!r} are not finite: the file is damaged, download it again")
    return found


def pieces(job: Mapping[str, Any], layout: Layout) -> Iterator[dict[str, NDArray[Any]]]:
    """Read and check a released file, in parts where it has parts, in the order of their keys."""
    source, checkpoint = Path(job["source"]), job["checkpoint"]
    if checkpoint == "members":
        for prefix, tensors in chexpert_members.read(source, job["settings"]["members"]):
            yield checked(tensors, {key: value for key, value in layout.items() if key.startswith(prefix)})
    elif checkpoint == "program":
        yield checked({"archive": pickles.read_program(source)}, layout)
    else:
        tensors = pickles.read_tensors(source, lenient=checkpoint == "lightning")
        yield checked(tensors, layout, job["thresholds"])


def run(job: dict[str, Any]) -> dict[str, str]:
    """Read, check and write.

    Parameters
    ----------
    job
        ``source`` and ``target`` (paths), ``checkpoint`` (``entry.Checkpoint``), ``settings`` (the
        network's dimensions), ``layout``, ``thresholds`` (as ``checked``) and ``metadata`` (strings for the
        target's header, to which the digest is added as ``tensors_sha256``).

    Returns
    -------
    dict
        ``tensors_sha256``; or ``error``, the one sentence of a ``WeightsError``.
    """
    source, target = Path(job["source"]), Path(job["target"])
    layout = {key: (dtype, tuple(shape)) for key, (dtype, shape) in job["layout"].items()}
    written = sum(_bytes(dtype, shape) for dtype, shape in layout.values())
    _limit("RLIMIT_AS", 2**31 + 4 * (source.stat().st_size + written))
    _limit("RLIMIT_CPU", CPU_SECONDS)
    _limit("RLIMIT_FSIZE", written + 2**26)
    try:
        return {"tensors_sha256": write(pieces(job, layout), layout, target, job["metadata"])}
    except WeightsError as error:
        return {"error": str(error)}


def write(
    parts: Iterable[Mapping[str, NDArray[Any]]], layout: Layout, target: Path, metadata: Mapping[str, str]
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

    Returns
    -------
    str
        ``tensors_sha256`` of all tensors, which is put into the header too.
    """
    header: dict[str, Any] = {"__metadata__": {**metadata, "tensors_sha256": "0" * 64}}
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
        header["__metadata__"]["tensors_sha256"] = digest.hexdigest()
        file.seek(0)
        _write_header(file, header)
    return digest.hexdigest()


def _write_header(file: BinaryIO, header: Mapping[str, Any]) -> int:
    """Write length and header, padded to eight bytes, and return where the tensors begin."""
    text = json.dumps(header, separators=(",", ":")).encode()
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
