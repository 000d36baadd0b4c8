"""What a new configuration changes, and which processes it concerns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from xrv_node.settings import Settings

FIXED = ("node.data_dir", "database.url")
"""Keys that only another start changes: what the node has done so far lies there."""

READS: dict[str, tuple[str, ...]] = {
    "receiver": ("node", "receive", "study", "frontal", "models", "priority", "log"),
    "worker": (
        *("node", "receive.ae_title", "study", "frontal", "models"),
        *("destinations", "peers", "priority", "priors", "log"),
    ),
    "courier": (
        *("node", "receive", "study", "destinations", "peers", "frontal", "priority"),
        *(
            "models.view",
            "models.dir",
            "archives",
            "fetch",
            "priors",
            "audit",
            "alerts",
            "retention",
            "constancy",
            "log",
        ),
    ),
    "web": ("node", "receive", "destinations", "peers", "audit", "web", "log"),
}
"""The tables, or keys of tables, that a process goes by."""


def keys(settings: Settings) -> dict[str, str]:
    """Each key as ``table.key``, and what it says, with the state of the files that it names.

    A certificate that was renewed under its old name is another one.
    """
    found: dict[str, str] = {}
    for table, value in settings:
        parts = dict(value) if isinstance(value, BaseModel) else {"": value}
        found |= {f"{table}.{key}".rstrip("."): _said(one) for key, one in parts.items()}
    folders = {"models.dir": settings.models_dir, "node.languages_dir": settings.node.languages_dir}
    return found | {key: found[key] + _files(folder) for key, folder in folders.items()}


def changed(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The keys that say something else."""
    return sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))


def concerns(role: str, these: Iterable[str]) -> bool:
    """Whether a process of this role goes by any of these keys."""
    return any({key, key.partition(".")[0]} & set(READS[role]) for key in these)


def _said(value: Any) -> str:
    plain = [one.model_dump() if isinstance(one, BaseModel) else one for one in _listed(value)]
    return json.dumps(plain, default=str) + "".join(_state(path) for path in _paths(plain) if path.is_file())


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, tuple) else [value]


def _paths(value: Any) -> list[Path]:
    if isinstance(value, Path):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return [path for one in inner for path in _paths(one)]


def _files(folder: Path | None) -> str:
    there = folder is not None and folder.is_dir()
    return (
        "".join(_state(file) for file in sorted(folder.iterdir()) if file.is_file())
        if there and folder
        else ""
    )


def _state(file: Path) -> str:
    stat = file.stat()
    return f"\n{file} {stat.st_size} {stat.st_mtime_ns}"
