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
from typing import TYPE_CHECKING, Any

import numpy as np

from xrv_node.errors import WeightsError
from xrv_node.models import pickles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

Layout = dict[str, tuple[str, tuple[int, ...]]]
"""State dict key to (numpy dtype, shape)."""

DATA_PARALLEL = "module."
"""What torch's DataParallel puts before every key."""

THRESHOLDS = "op_threshs"
"""A buffer that torchxrayvision adds to a classifier that it has loaded: operating points, not weights."""

CPU_SECONDS = 300
"""PSPNet, the largest file, takes two."""


def tensors_sha256(tensors: Mapping[str, NDArray[Any]]) -> str:
    """Hex SHA-256 over names, dtypes, shapes and bytes of tensors, whatever their order and file format."""
    digest = hashlib.sha256()
    for key in sorted(tensors):
        value = np.ascontiguousarray(tensors[key]).reshape(tensors[key].shape)
        digest.update(f"{key} {value.dtype.name} {list(value.shape)}\n".encode())
        digest.update(value.data)
    return digest.hexdigest()


def checked(
    tensors: Mapping[str, NDArray[Any]], layout: Layout, thresholds: Sequence[float] = ()
) -> dict[str, NDArray[Any]]:
    """Return the tensors of a network, once they are exactly those.

    Parameters
    ----------
    tensors
        As read; a DataParallel prefix is taken off, and torchxrayvision's operating points are compared and
        left out.
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
    if all(key.startswith(DATA_PARALLEL) for key in tensors):
        tensors = {key.removeprefix(DATA_PARALLEL): value for key, value in tensors.items()}
    found = dict(tensors)
    own_thresholds = found.pop(THRESHOLDS, None)
    missing, unknown = layout.keys() - found.keys(), found.keys() - layout.keys()
    if missing or unknown:
        example = min(missing or unknown)[:80]
        raise WeightsError(
            f"this is another network: {len(missing)} of its {len(layout)} tensors are missing and "
            f"{len(unknown)} are unknown, {example!r} among them"
        )
    for key, (dtype, shape) in layout.items():
        if found[key].dtype.name != dtype or found[key].shape != shape:
            raise WeightsError(
                f"this is another network: {key!r} is {found[key].dtype.name} {list(found[key].shape)}, "
                f"not {dtype} {list(shape)}"
            )
    if own_thresholds is not None and not np.allclose(own_thresholds, thresholds, rtol=1e-5, equal_nan=True):
        raise WeightsError("the operating points in the file are those of other weights: choose another name")
    if damaged := [key for key in layout if not np.isfinite(found[key]).all()]:
        raise WeightsError(f"values of {damaged[0]!r} are not finite: the file is damaged, download it again")
    return found


def run(job: dict[str, Any]) -> dict[str, str]:
    """Read, check and write.

    Parameters
    ----------
    job
        ``source`` and ``target`` (paths), ``layout``, ``thresholds`` (as ``checked``) and ``metadata``
        (strings for the target's header, to which the digest is added as ``tensors_sha256``).

    Returns
    -------
    dict
        ``tensors_sha256``; or ``error``, the one sentence of a ``WeightsError``.
    """
    from safetensors.numpy import save_file

    source, target = Path(job["source"]), Path(job["target"])
    layout = {key: (dtype, tuple(shape)) for key, (dtype, shape) in job["layout"].items()}
    size = source.stat().st_size
    written = sum(math.prod(shape) for _, shape in layout.values()) * 8
    _limit("RLIMIT_AS", 2**31 + 4 * (size + written))
    _limit("RLIMIT_CPU", CPU_SECONDS)
    _limit("RLIMIT_FSIZE", written + 2**24)
    try:
        tensors = checked(pickles.read_tensors(source), layout, job["thresholds"])
        digest = tensors_sha256(tensors)
        save_file(
            {key: np.ascontiguousarray(value).reshape(value.shape) for key, value in tensors.items()},
            target,
            metadata={**job["metadata"], "tensors_sha256": digest},
        )
    except WeightsError as error:
        return {"error": str(error)}
    return {"tensors_sha256": digest}


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
