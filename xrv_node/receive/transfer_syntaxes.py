"""Read the table of transfer syntaxes that the node takes, ``dicom_config/transfer_syntaxes.toml``."""

from __future__ import annotations

import tomllib
from importlib.resources import files


def _load() -> list[str]:
    text = (files("dicom_config") / "transfer_syntaxes.toml").read_text(encoding="utf-8")
    return [row["uid"] for row in tomllib.loads(text)["transfer_syntax"]]


STORAGE_TRANSFER_SYNTAXES: list[str] = _load()
"""UIDs, in the order in which they are preferred."""
