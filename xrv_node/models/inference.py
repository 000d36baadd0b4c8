"""How networks run on a batch: exactly, the same way each time, within the device's memory, and checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrv_node.errors import XrvNodeError
from xrv_node.models.inputs import scaled_here
from xrv_node.reasons import Reason

Inputs = Mapping[int, NDArray[np.float32]]
"""By side: ``[B, 1, side, side]`` in [-1024, 1024]."""

Forward = Callable[[dict[int, Tensor]], tuple[Tensor, ...]]
"""From inputs on the device to what is wanted of them; the first axis of all is the image. Runs without
gradients."""

Outputs = tuple[list[NDArray[Any]], NDArray[np.bool_]]
"""What `Forward` returned, and for each image whether every number in it is one."""

OVERFLOW = Reason("network-overflowed")


@contextmanager
def exact() -> Iterator[None]:
    """Run on images of ours without gradients, in full float32, the same way each time."""
    # TF32 would round every input of a convolution to 10 bits; a repeated run must make the same objects
    same = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
    with torch.no_grad(), same, scaled_here():
        yield


def at_once(forward: Forward, inputs: Inputs, device: str) -> Outputs:
    """Run networks on a batch.

    Parameters
    ----------
    forward
        What to run.
    inputs
        At least one image.
    device
        Where the networks are.

    Raises
    ------
    XrvNodeError
        The device has not enough memory for the batch.
    """
    try:
        return _run(forward, inputs, device)
    except torch.OutOfMemoryError as error:
        raise XrvNodeError(
            f"the device has not enough memory for {_count(inputs)} images at a time: use a smaller batch"
        ) from error


def in_halves(forward: Forward, inputs: Inputs, device: str) -> Outputs:
    """Run networks as `at_once`, in halves where the device has not enough memory for the batch.

    Raises
    ------
    torch.OutOfMemoryError
        It has not enough for one image.
    """
    count = _count(inputs)
    try:
        return _run(forward, inputs, device)
    except torch.OutOfMemoryError:
        if count == 1:
            raise
    # outside the handler: its traceback would keep what the attempt allocated
    torch.cuda.empty_cache()
    (first, first_finite), (second, second_finite) = (
        in_halves(forward, {size: x[rows] for size, x in inputs.items()}, device)
        for rows in (slice(count // 2), slice(count // 2, None))
    )
    outputs = [np.concatenate(pair) for pair in zip(first, second, strict=True)]
    return outputs, np.concatenate([first_finite, second_finite])


def _run(forward: Forward, inputs: Inputs, device: str) -> Outputs:
    with exact():
        outputs = forward({size: torch.from_numpy(x).to(device) for size, x in inputs.items()})
        finite = torch.ones(len(outputs[0]), dtype=torch.bool, device=outputs[0].device)
        for output in outputs:
            finite &= output.reshape(len(output), -1).isfinite().all(dim=1)
        return [output.cpu().numpy() for output in outputs], finite.cpu().numpy()


def _count(inputs: Inputs) -> int:
    return len(next(iter(inputs.values())))
