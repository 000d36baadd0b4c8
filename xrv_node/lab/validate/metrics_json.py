"""``metrics.json``: all figures of a validation for programs. ``docs/validation.md`` describes it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from xrv_node.lab.validate.verdict import verdict
from xrv_node.product import NOTICE

if TYPE_CHECKING:
    from xrv_node.lab.validate.validation import Validation

FORMAT, VERSION = "xrv-node validation", 1
"""The version grows when a name goes or means something else, not when one is added."""


def text(validation: Validation) -> str:
    """Return everything as strict JSON: what is no finite number is null."""
    found = validation.published
    whole = {
        "format": FORMAT,
        "version": VERSION,
        "notice": NOTICE,
        "about": asdict(validation.about),
        "verdicts": {f.finding: verdict(f) for f in validation.evaluation.findings},
        "evaluation": asdict(validation.evaluation),
        "localisation": [asdict(one) for one in validation.localisation],
        "published": found and {"auc": dict(found.auc), "source": found.source, "note": found.note},
        "through_node": validation.through_node and asdict(validation.through_node),
        "structures": [asdict(one) for one in validation.structures],
        "published_structures": [asdict(one) for one in validation.published_structures],
    }
    return json.dumps(_finite(whole), indent=1, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
