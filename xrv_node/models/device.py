"""Which device a network runs on. Imports nothing heavy before it is asked."""

from __future__ import annotations

from xrv_node.errors import ConfigError


def resolve_device(wanted: str) -> str:
    """Resolve ``auto`` and refuse a device that is not there.

    Raises
    ------
    ConfigError
        Naming the devices that this machine has.
    """
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return next(kind for kind, available in there.items() if available)
    kind, _, number = wanted.partition(":")
    numbers = map(str, range(torch.cuda.device_count()))
    if not there.get(kind) or (kind == "cuda" and number and number not in numbers):
        raise ConfigError(
            f"the device (models.device or --device) is {wanted!r}, which this machine does not have: use "
            f"one of {', '.join(kind for kind, available in there.items() if available)} or auto"
        )
    return wanted
