"""Reads the tensors of a safetensors file, of any floating kind: numpy's own reader knows no bfloat16."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from xrv_node.errors import WeightsError
from xrv_node.models.numbers import SAFETENSORS

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def read_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """Return the tensors of a file by their names.

    Raises
    ------
    WeightsError
        It is damaged, cannot be read, or holds numbers that no network here has.
    """
    from safetensors import SafetensorError, deserialize

    try:
        found = deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path.name} is damaged or no safetensors file: get it again") from error
    tensors = {}
    for name, one in found:
        if (kind := SAFETENSORS.get(one["dtype"])) is None:
            raise WeightsError(
                f"{name[:80]!r} in {path.name} holds numbers of the kind {one['dtype']}: save the weights as "
                "float32"
            )
        tensors[name] = np.frombuffer(one["data"], kind).reshape(one["shape"])
    return tensors
