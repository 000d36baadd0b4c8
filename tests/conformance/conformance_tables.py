"""The tables of the conformance statement, made of the code's own.

``python tests/conformance/conformance_tables.py docs/conformance.md`` (``make conformance``) writes each table
between its marks in the document; the tests hold the document to it, and hold to the wire what is said here of
associations.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from conformance_facts import (
    ANSWERS,
    FETCH_CLASSES,
    NEXT,
    PARAMETERS,
    PRIORS_CLASSES,
    REFUSALS,
    SECTIONS,
    YOUNG,
)
from pydantic_core import PydanticUndefined
from pydicom.charset import python_encoding
from pydicom.datadict import dictionary_description, tag_for_keyword
from pydicom.sr.coding import Code
from pydicom.tag import Tag
from pydicom.uid import UID, AllTransferSyntaxes, DeflatedExplicitVRLittleEndian
from worded import said

from xrv_node.deliver.attempt import Outcome, from_status
from xrv_node.deliver.dimse import SYNTAXES
from xrv_node.frontal.rules import load_rules
from xrv_node.index import levels, matching
from xrv_node.index.query import KEYS
from xrv_node.radiograph.syntaxes import decodes
from xrv_node.report import codes, source
from xrv_node.result_kinds import KINDS
from xrv_node.settings import Settings
from xrv_node.settings.destinations import DestinationSection
from xrv_node.values import STORAGE_COMMITMENT, VERIFICATION, StoredResult


def offered(kind: str, *, deflate: bool) -> list[UID]:
    """Transfer syntaxes in which a kind's objects are offered to a destination, a presentation context each."""
    return [*([DeflatedExplicitVRLittleEndian] if deflate and KINDS[kind].deflates else []), *SYNTAXES]


def decodable() -> list[UID]:
    """Transfer syntaxes whose pixels the installed decoders read."""
    return [uid for uid in AllTransferSyntaxes if decodes(uid)]


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [" | ".join(head), "|".join("---" for _ in head)]
    lines += [" | ".join(str(cell).replace("|", "\\|") for cell in row) for row in rows]
    return "\n".join(f"|{line}|" if line.startswith("---") else f"| {line} |" for line in lines)


def _name(uid: str) -> str:
    return YOUNG.get(uid) or UID(uid).name


def _uids(uids: Iterable[str]) -> Iterator[tuple[str, str]]:
    return ((_name(uid), f"`{uid}`") for uid in uids)


def _names(uids: Iterable[str]) -> str:
    return ", ".join(map(_name, uids))


def _code(code: Code | None) -> str:
    return f"({code.value}, {code.scheme_designator}, {code.meaning})" if code else ""


def _default(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(f"`{one}`" for one in value) or "empty"
    if isinstance(value, bool):
        return f"`{value}`".lower()
    return {None: "", PydanticUndefined: "", "": "empty"}.get(value, f"`{value}`")


def parameters() -> str:
    """What a site can set of the network."""
    return table(("key", "of kind", "meaning", "default"), (_parameter(*row) for row in PARAMETERS))


def _parameter(name: str, key: str, what: str) -> tuple[str, str, str, str]:
    fields = {kind: s.model_fields[key] for kind, s in SECTIONS[name].items() if key in s.model_fields}
    default = next(iter(fields.values())).default
    if key == "kind":
        default = getattr(Settings.model_fields[name].default, "kind", None)
    elif len(fields) == len(SECTIONS[name]):
        fields = {}
    return f"`{name}.{key}`", ", ".join(f"`{kind}`" for kind in fields), what, _default(default)


def analysed() -> str:
    """SOP classes of objects that can be analysed."""
    return table(("SOP class", "UID"), _uids(sorted(load_rules().sop_classes)))


def syntaxes() -> str:
    """Transfer syntaxes of images that can be analysed."""
    return table(("transfer syntax", "UID"), _uids(decodable()))


def answers() -> str:
    """C-STORE statuses that are answered."""
    return table(
        ("status", "service status", "meaning"), ((f"0x{s:04X}", *words) for s, words in ANSWERS.items())
    )


def refusals() -> str:
    """Rejections of associations."""
    rows = ((*rejection, words) for rejection, words in REFUSALS.items())
    return table(("result", "source", "reason", "meaning"), rows)


def kinds() -> str:
    """What is made of a study."""
    default = DestinationSection.model_fields["send"].default
    rows = (
        (f"`{name}`", _name(uid), f"`{uid}`", kind.modality, kind.template, kind.series_number, "yes" if name in default else "",
         ", ".join(f"`{field}`" for field in kind.varies))
        for name, kind in KINDS.items()
        for uid in kind.sop_classes
    )  # fmt: skip
    head = ("kind", "SOP class", "UID", "Modality", "template", "Series Number", "default", "differs with")
    return table(head, rows)


def proposed() -> str:
    """Presentation contexts that are proposed to a destination."""
    rows = [
        (f"`{name}`", _name(uid), _names(offered(name, deflate=False)), _names(offered(name, deflate=True)))
        for name, kind in KINDS.items()
        for uid in kind.sop_classes
    ]
    rows.append(("storage commitment", _name(STORAGE_COMMITMENT), _names(SYNTAXES), _names(SYNTAXES)))
    rows.append(("check", _name(VERIFICATION), _names(SYNTAXES), _names(SYNTAXES)))
    return table(("for", "SOP class", "transfer syntaxes", "with `deflate`"), rows)


def statuses() -> str:
    """What each status of a destination's C-STORE response leads to; asked of the code, status by status."""
    result = StoredResult("report", KINDS["report"].sop_classes[0], "1.2", Path())

    def meant(status: int) -> tuple[Outcome, str]:
        attempt = from_status(result, status)
        return attempt.outcome, re.sub(r" \(0x[0-9A-F]{4}\)$", "", said(attempt.reason))

    rows = []
    for (outcome, words), run in groupby(range(1 << 16), meant):
        first, *rest = run
        span = f"0x{first:04X}" + (f" to 0x{rest[-1]:04X}" if rest else "")
        rows.append((span, words or "stored", NEXT[outcome]))
    other = next(row[1:] for row in rows if "refused" in row[1])
    named = [row for row in rows if row[1:] != other]
    return table(("status", "taken as", "what follows"), [*named, ("any other", *other)])


def fetch() -> str:
    """What a fetch proposes to an archive, beside what comes."""
    return table(
        ("SOP class", "UID", "role", "transfer syntaxes"),
        ((_name(uid), f"`{uid}`", role, _names(SYNTAXES)) for uid, role in FETCH_CLASSES),
    )


def priors() -> str:
    """Presentation contexts that are proposed to the archive of earlier reports."""
    return table(
        ("SOP class", "UID", "role", "transfer syntaxes"),
        ((_name(uid), f"`{uid}`", role, _names(SYNTAXES)) for uid, role in PRIORS_CLASSES),
    )


def searched_by() -> str:
    """Keys of QIDO-RS, by the level that they are of."""
    rows = (
        (
            dictionary_description(keyword),
            f"`{Tag(tag_for_keyword(keyword) or 0)}`",
            key.level,
            _matching(key.match),
        )
        for keyword, key in KEYS.items()
    )
    return table(("attribute", "tag", "level", "matching"), rows)


_MATCHING = {
    matching.uids: "list of UIDs, by commas or backslashes",
    matching.date: "single value, range, open at either end",
    matching.time: "single value, range, open at either end",
    matching.codes: "single value, wildcards",
    matching.name: "single value, wildcards; without regard to case and accents, in all component groups",
    matching.text: "single value, wildcards; without regard to case and accents",
    matching.number: "single value, as a number",
}


def _matching(how: Callable[..., object]) -> str:
    return _MATCHING[how]


def search_answers() -> str:
    """What QIDO-RS always answers with."""
    rows = [
        (level, ", ".join(dictionary_description(keyword) for keyword in keywords))
        for level, keywords in levels.ANSWERS.items()
    ]
    return table(("level", "attributes, with Specific Character Set and Retrieve URL"), rows)


def character_sets() -> str:
    """Specific Character Sets that are read."""
    return ", ".join(f"`{term}`" for term in python_encoding if term.startswith(("ISO_IR", "ISO 2022", "GB")))


def attributes() -> str:
    """Attributes that results take from their source."""
    rows = [("SpecificCharacterSet", "where present, see character sets")]
    rows += [(keyword, "always, empty where the source has none") for keyword in source.ALWAYS]
    rows += [(keyword, "where present and of its VR") for keyword in source.WHERE_PRESENT]
    return table(
        ("attribute", "tag", "copied"),
        ((dictionary_description(k), f"`{Tag(tag_for_keyword(k) or 0)}`", how) for k, how in rows),
    )


def findings() -> str:
    """Codes of the findings."""
    rows = (
        (row.label, _code(row.code), _code(row.own), _code(row.score), _code(row.site), row.status)
        for row in codes.findings().values()
    )
    return table(("label", "finding", "the node's own code", "score", "site", "status"), rows)


def structures() -> str:
    """Codes of the segments."""
    rows = (
        (row.target, _code(row.code), _code(row.laterality), row.status)
        for row in codes.structures().values()
    )
    return table(("structure", "property type", "modifier", "status"), rows)


def measurements() -> str:
    """Codes of the measurements."""
    rows = (
        (row.name, _code(row.code), f"`{row.unit}`", _code(row.site), _code(row.laterality), row.status)
        for row in codes.measurements().values()
    )
    return table(("measurement", "concept name", "unit", "site", "laterality", "status"), rows)


def concepts() -> str:
    """Private codes that are of no single finding or measurement."""
    own = (c for c in vars(codes).values() if isinstance(c, Code))
    return table(
        ("value", "meaning"),
        ((f"`{c.value}`", c.meaning) for c in own if c.scheme_designator == codes.PRIVATE_SCHEME),
    )


TABLES: tuple[Callable[[], str], ...] = (
    parameters, analysed, syntaxes, answers, refusals, kinds, proposed, statuses, priors, fetch, searched_by, search_answers, character_sets,
    attributes, findings, structures, measurements, concepts,
)  # fmt: skip
MARKED = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(document: str) -> str:
    """The document with its tables written anew; text between tables stays as it is.

    Raises
    ------
    KeyError
        When a mark names no table.
    """
    made = {function.__name__: function for function in TABLES}
    return MARKED.sub(lambda found: f"{found[1]}\n{made[found[2]]()}\n\n{found[3]}", document)


def main() -> None:
    """Write the tables into the file that is named."""
    path = Path(sys.argv[1])
    path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
