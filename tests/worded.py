"""Reasons, as a person reads them in English."""

from __future__ import annotations

from typing import Any

from xrv_node import reasons
from xrv_node.reasons import Reason


def said(reason: Any) -> str:
    """The sentence, of a reason or of what the database and a command's JSON have of it; empty of none."""
    if reason is None or reason == "":
        return ""
    if isinstance(reason, dict):
        reason = reasons.revive({name: reason[name] for name in ("key", "values")})
    assert isinstance(reason, Reason)
    return str(reason)
