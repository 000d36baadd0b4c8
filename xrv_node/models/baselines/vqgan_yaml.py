"""The dimensions of a released VQGAN, out of the YAML file beside it. Imports nothing heavy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from xrv_node.errors import WeightsError

NEEDED: dict[str, type] = {
    "ddconfig.resolution": int,
    "ddconfig.z_channels": int,
    "ddconfig.ch": int,
    "ddconfig.ch_mult": list,
    "ddconfig.num_res_blocks": int,
    "ddconfig.attn_resolutions": list,
    "n_embed": int,
    "embed_dim": int,
}
"""Below ``model.params``; the last word is the parameter of ``vqgan.VQGAN``."""

FIXED = {"ddconfig.in_channels": 3, "ddconfig.out_ch": 3, "ddconfig.double_z": False}
"""What the network here takes for granted, as every VQGAN that was released for radiographs has it."""

LIMIT = 1 << 16
"""Bytes; the released files have about 2000."""

MOST = 4096
"""No dimension of a network that fits into a machine is larger."""


def beside(weights: Path) -> Path:
    """Return where the YAML file of a weights file lies: the same name, ending in ``.yaml``."""
    return weights.with_suffix(".yaml")


def dimensions(path: Path) -> dict[str, Any]:
    """Read the parameters of ``vqgan.VQGAN``.

    Parameters
    ----------
    path
        The YAML file as it was released.

    Raises
    ------
    WeightsError
        Not there, not such a file, or of a network of another kind.
    """
    try:
        with path.open("rb") as file:
            text = file.read(LIMIT).decode()
    except FileNotFoundError:
        raise WeightsError(
            f"{path.name} is not beside the weights: put it there, it was released with them"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise WeightsError(f"{path.name} cannot be read: download it again") from error
    found = flattened(text)
    values = {key: found.get(f"model.params.{key}") for key in (*NEEDED, *FIXED)}
    for key, kind in NEEDED.items():
        if type(values[key]) is not kind or not _plausible(values[key]):
            raise WeightsError(f"{path.name} does not say what {key} of the network is: download it again")
    for key, value in FIXED.items():
        if values[key] not in (None, value):
            raise WeightsError(f"{path.name} is of another kind of network: its {key} is not {value}")
    return {key.rpartition(".")[2]: values[key] for key in NEEDED}


def _plausible(value: Any) -> bool:
    return all(type(n) is int and 0 < n <= MOST for n in (value if isinstance(value, list) else [value]))


def flattened(text: str) -> dict[str, Any]:
    """Read the part of YAML that such files are written in.

    Parameters
    ----------
    text
        Nested mappings by indentation, scalars, and lists, either ``[1, 2]`` or one ``- item`` a line.

    Returns
    -------
    dict
        Path of a value, joined by dots, to an int, float, bool, None, string or a list of those. What it does
        not understand is left out.
    """
    values: dict[str, Any] = {}
    path: list[tuple[int, str]] = []
    for raw in text.splitlines():
        line = raw.split(" #")[0].rstrip()
        word = line.lstrip()
        if not word or word.startswith("#"):
            continue
        indent = len(line) - len(word)
        if word.startswith("- "):
            while path and path[-1][0] > indent:
                path.pop()
            items = values.setdefault(".".join(key for _, key in path), [])
            if isinstance(items, list):
                items.append(_scalar(word[2:]))
            continue
        while path and path[-1][0] >= indent:
            path.pop()
        key, _, rest = word.partition(":")
        path.append((indent, key.strip()))
        rest = rest.strip()
        if rest.startswith("[") and rest.endswith("]"):
            inner = rest[1:-1].strip()
            values[".".join(key for _, key in path)] = (
                [_scalar(item) for item in inner.split(",")] if inner else []
            )
        elif rest:
            values[".".join(key for _, key in path)] = _scalar(rest)
    return values


WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}
"""What YAML means by them, in any case."""


def _scalar(text: str) -> Any:
    text = text.strip()
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text.strip("'\"")
