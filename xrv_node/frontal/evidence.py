"""What in a header speaks for a body part or a view, strongest first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from pydicom import Dataset

from xrv_node.attributes import codes, fold, shown, spaced, text, values
from xrv_node.frontal.rules import SEVERAL, Rules, Term
from xrv_node.reasons import Reason
from xrv_node.values import Evidence

TOLD_BY = ("ViewCodeSequence", "AnatomicRegionSequence", "BodyPartExamined", "PatientOrientation")
"""What is looked at beside the attributes that the tables name."""

UNREAD = "not understood"
"""Kind of a value that should name a view or body part and is in no table."""


@dataclass(frozen=True, slots=True)
class Sign:
    """One attribute and what it stands for."""

    attribute: str
    value: str
    kind: str
    """A kind of projection or body part of the tables."""
    view: str | None = None
    remark: Reason | None = None
    """What goes with it into the reasons."""

    @property
    def told(self) -> Reason:
        """The attribute and its value, as a reason quotes them."""
        return Reason("attribute-says", attribute=spaced(self.attribute), value=shown(self.value))

    @property
    def evidence(self) -> Evidence:
        """The sign as it travels."""
        return Evidence(self.attribute, shown(self.value), self.kind)


def view_signs(header: Dataset, rules: Rules) -> tuple[Sign, ...]:
    """Return every sign of a view, strongest first.

    View Code Sequence, View Position, a view kept in another attribute, a lateral Patient Orientation,
    series-level text, a frontal Patient Orientation (which devices write by default), and, only where none of
    these tells nor speaks of several views, a mobile unit.
    """
    terms = rules.views
    orientation = tuple(_orientation(header, rules))
    signs = (
        *_one_view(_coded(header, "ViewCodeSequence", rules, terms)),
        *(
            sign
            for keyword in rules.view_attributes
            for sign in _one_view(_worded(header, keyword, rules, terms))
        ),
        *(
            sign
            for keyword in rules.elsewhere_attributes
            for sign in _one_view(_elsewhere(header, keyword, terms))
        ),
        *(sign for sign in orientation if sign.kind != "frontal"),
        *(
            sign
            for keyword in rules.text_attributes
            for sign in _one_view(_in_text(header, keyword, rules, terms))
        ),
        *(sign for sign in orientation if sign.kind == "frontal"),
    )
    told = any(sign.kind in rules.projections or sign.kind == SEVERAL for sign in signs)
    return signs if told else (*signs, *_portable(header, rules))


def part_signs(header: Dataset, rules: Rules) -> tuple[Sign, ...]:
    """Return every sign of a body part: Anatomic Region, Body Part Examined, series-level text."""
    return (
        *_coded(header, "AnatomicRegionSequence", rules, rules.parts),
        *_worded(header, "BodyPartExamined", rules, rules.parts),
        *(
            sign
            for keyword in rules.text_attributes
            for sign in _in_text(header, keyword, rules, rules.parts)
        ),
    )


def _coded(header: Dataset, keyword: str, rules: Rules, terms: tuple[Term, ...]) -> Iterator[Sign]:
    """Yield the signs of a code sequence; a code that the tables lack is read by its meaning."""
    for code in codes(header, keyword):
        value = f"{code.name} {code.meaning}".strip()
        named = [term for term in terms if code.name in term.codes]
        for term in named or [term for term, _ in _matches(code.meaning, rules, terms)]:
            yield Sign(keyword, value, term.kind, term.view)


def _worded(header: Dataset, keyword: str, rules: Rules, terms: tuple[Term, ...]) -> Iterator[Sign]:
    """Yield the sign of an attribute that holds a word of a vocabulary, or else some text."""
    value = text(header, keyword)
    found = [term for term in terms if fold(value) in term.words][:1]
    found = found or [term for term, _ in _matches(value, rules, terms)]
    for term in found:
        yield Sign(keyword, value, term.kind, term.view)
    if value and not found:
        unread = Sign(keyword, value, UNREAD)
        yield replace(unread, remark=Reason("in-no-table", told=unread.told))


def _elsewhere(header: Dataset, keyword: str, terms: tuple[Term, ...]) -> Iterator[Sign]:
    """Yield a view found in an attribute meant for something else: whole words only, no single letters."""
    for value in values(header, keyword):
        for term in terms:
            if len(value) > 1 and fold(value) in term.words:
                yield Sign(keyword, value, term.kind, term.view)


def _in_text(header: Dataset, keyword: str, rules: Rules, terms: tuple[Term, ...]) -> Iterator[Sign]:
    """Yield what a text tells, with the words that told it and not the text: a person typed that, and may
    have typed the patient's name."""
    for term, words in _matches(text(header, keyword), rules, terms):
        yield Sign(keyword, words, term.kind, term.view)


def _matches(value: str, rules: Rules, terms: tuple[Term, ...]) -> list[tuple[Term, str]]:
    """Return the rows that match a text, and what they matched, which the rows below no longer see."""
    rest, found = rules.names.read(value), []
    for term in terms:
        match = term.pattern.search(rest) if term.pattern and rest else None
        if term.pattern and match:
            found.append((term, match[0]))
            rest = term.pattern.sub(" ", rest)
        elif term.pairs and rest and not found:  # what stands above qualifies the letters: "AP L DECUBITUS"
            two = rules.names.two_views(value)
            found += [(term, two)] if two else []
    return found


def _one_view(signs: Iterable[Sign]) -> list[Sign]:
    """Settle what one attribute says of the view.

    A qualified view (oblique, decubitus) outdoes the plain view beside it ("AP OBLIQUE"). Frontal and lateral
    beside each other name an examination, not an image.
    """
    found = list(signs)
    kinds = {sign.kind for sign in found}
    if len(found) < 2 and SEVERAL not in kinds:
        return found
    if SEVERAL in kinds or {"frontal", "lateral"} <= kinds:
        remark = Reason("several-views", told=found[0].told)
        return [replace(found[0], kind=SEVERAL, view=None, remark=remark)]
    first = next((sign for sign in found if sign.kind not in ("frontal", "lateral")), found[0])
    views = {sign.view for sign in found if sign.view and sign.kind == first.kind}
    return [replace(first, view=views.pop() if len(views) == 1 else None)]  # "AP/PA": frontal, and no more


def _orientation(header: Dataset, rules: Rules) -> Iterator[Sign]:
    """Yield what the first letters of Patient Orientation (0020,0020) tell."""
    value = text(header, "PatientOrientation")
    letters = "".join(word[0] for word in fold(value).split()[:2])
    kind = rules.orientation.get(letters)
    if kind:
        remark = None if letters in rules.upright else Reason("mirrored-or-turned")
        yield Sign("PatientOrientation", value, kind, None, remark)


def _portable(header: Dataset, rules: Rules) -> Iterator[Sign]:
    for keyword in rules.portable_attributes:
        if match := rules.portable.search(rules.names.read(text(header, keyword))):
            yield Sign(keyword, match[0], "frontal", "AP", Reason("taken-as-ap"))
            return
