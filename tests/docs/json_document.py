"""``docs/json.md``: what each command's ``--json`` prints, made of the types of what is printed.

``python json_document.py FILE`` writes the part of the page that is made anew.
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

import typing_extensions

from xrv_node.analyse.benchmark import Timing
from xrv_node.audit.verify import Verified
from xrv_node.cli import documents, network_documents
from xrv_node.db import fetch_rows, rows
from xrv_node.doctor.diagnosis import Diagnosis
from xrv_node.doctor.status import Status
from xrv_node.lab.datasets.catalog import DatasetEntry
from xrv_node.lab.monitor.drift import Drift
from xrv_node.lab.monitor.shadow import Comparison
from xrv_node.models import listing
from xrv_node.reasons import Reason
from xrv_node.retention.purge import Purged
from xrv_node.statistics.rows import Statistics

BEGIN, END = "<!-- made of the types: make json -->", "<!-- until here -->"


class Benchmark(typing.TypedDict):
    """How fast each engine is under each network."""

    file: Path | None
    """Where the choice is kept; null: nowhere."""
    engines: list[Timing]
    """Each engine under each network."""


DOCUMENTS: dict[str, Any] = {
    "status": Status,
    "doctor": list[Diagnosis],
    "jobs list": list[rows.JobRow],
    "jobs show": rows.JobHistory,
    "jobs retry": documents.Retried,
    "jobs cancel": documents.Cancelled,
    "studies list": list[rows.StudyRow],
    "studies show": rows.StudyShown,
    "studies purge": list[Purged],
    "studies resend": documents.Resent,
    "studies reprocess": documents.Reprocessed,
    "index rebuild": documents.Rebuilt,
    "export": documents.Exported,
    "audit list": list[rows.EventRow],
    "audit show": list[rows.TimelineRow],
    "audit verify": Verified,
    "destinations list": list[dict[str, Any]],
    "destinations check": list[rows.Checked],
    "archives list": list[dict[str, Any]],
    "archives check": list[rows.Checked],
    "fetch studies": fetch_rows.FetchRow | fetch_rows.FetchPreview,
    "fetch list": list[fetch_rows.FetchRow],
    "fetch show": fetch_rows.FetchHistory,
    "fetch retry": fetch_rows.FetchRow,
    "fetch cancel": fetch_rows.FetchRow,
    "alerts list": list[dict[str, Any]],
    "alerts test": list[rows.Checked],
    "send": list[documents.Sent],
    "users list": list[rows.WebUserRow],
    "tokens list": list[rows.WebTokenRow],
    "tokens add": documents.NewToken,
    "statistics": Statistics,
    "models list": list[listing.ModelHere],
    "models import": list[listing.ModelRow],
    "models pull": list[listing.ModelRow],
    "models verify": list[network_documents.VerifiedModel],
    "models fit-gate": network_documents.FittedGate,
    "models fit-mismatch": network_documents.FittedMismatch,
    "models benchmark": Benchmark,
    "classify --format": network_documents.Classifications,
    "datasets list": list[DatasetEntry],
    "datasets stats": network_documents.DatasetNumbers,
    "datasets verify": network_documents.VerifiedDataset,
    "monitor report": Drift,
    "monitor shadow": Comparison,
    "acceptance": network_documents.Acceptance,
    "demo": network_documents.Demonstration,
}
"""What each command prints; a list as ``items``."""

ELSEWHERE = {
    "audit export": "a line an event, as it is hashed, without `json_version`: fields of an [event](#eventrow)",
    "validate": "`metrics.json`, with a version of its own: [validation.md](validation.md)",
}
"""Commands whose JSON is no document of this kind."""

_PLAIN = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    datetime: "time",
    Path: "path",
    Reason: "reason",
    Any: "anything",
    type(None): "null",
}


def page() -> str:
    """The part of the page that is made."""
    found: dict[type, None] = {}
    table = ["| command | prints |", "|---|---|"]
    for command, of in DOCUMENTS.items():
        table.append(f"| `{command}` | {_shown(of, found, top=True)} |")
    table += [f"| `{command}` | {says} |" for command, says in ELSEWHERE.items()]
    parts = ["\n".join(table)]
    done: set[type] = set()
    while todo := [one for one in found if one not in done]:
        for one in todo:
            parts.append(_described(one, found))
            done.add(one)
    return "\n\n".join(parts)


def _described(one: type, found: dict[type, None]) -> str:
    says = " ".join((one.__doc__ or "").strip().split("\n\n")[0].split())
    lines = [f"## {one.__name__}", "", says, "", "| field | is | |", "|---|---|---|"]
    meanings = dict(_meanings(one))
    for name, of in typing.get_type_hints(one).items():
        lines.append(
            f"| `{name}` | {_shown(of, found)} | {meanings.get(name, '')} |".replace(" |  |", " | |")
        )
    return "\n".join(lines)


def _meanings(one: type) -> Iterator[tuple[str, str]]:
    """The docstring below each field, those of the classes before it too."""
    (made,) = ast.parse(textwrap.dedent(inspect.getsource(one))).body
    assert isinstance(made, ast.ClassDef)
    for base in made.bases:  # a TypedDict forgets those that it was made of
        if isinstance(base, ast.Name) and base.id != "TypedDict":
            yield from _meanings(vars(sys.modules[one.__module__])[base.id])
    for field, after in zip(made.body, made.body[1:], strict=False):
        match field, after:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(said))):
                yield name, " ".join(said.replace("``", "`").split()).replace("|", "\\|")


def _shown(of: Any, found: dict[type, None], *, top: bool = False) -> str:
    """A type in words; classes with fields are remembered."""
    origin, arguments = typing.get_origin(of), typing.get_args(of)
    if of in _PLAIN:
        return _PLAIN[of]
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_shown(one, found) for one in arguments)
    if origin is typing.Literal:
        return ", ".join(f"`{one}`" for one in arguments)
    if origin in (list, tuple):
        inner = _shown(arguments[0], found)
        return f"`items`: {inner}, each" if top else f"list: {inner}"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        inner = _shown(arguments[1], found)
        return "object" if inner == "anything" else f"object: {inner} by name"
    if isinstance(of, type) and issubclass(of, Enum):
        return ", ".join(f"`{one.value}`" for one in of)
    assert typing_extensions.is_typeddict(of) or is_dataclass(of), of
    found[of] = None
    return f"[{of.__name__}](#{of.__name__.lower()})"


def whole(text: str) -> str:
    """The page with that part made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{page()}\n\n{END}{after}"


if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.write_text(whole(file.read_text(encoding="utf-8")), encoding="utf-8")
