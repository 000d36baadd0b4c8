"""Segments of an HL7 v2 message (chapter 2.5), of any text: what it could be cut by is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import hl7

Components = Sequence[str]
Field = str | Components | Sequence[Components]
"""A single text; or the components of one; or of several, which repeat."""

ENCODING = "^~\\&"
"""MSH-2: the separators that are recommended (chapter 2.5.4)."""


def segment(name: str, fields: Mapping[int, Field]) -> hl7.Segment:
    """Make a segment.

    Parameters
    ----------
    fields
        By their numbers in the standard; the others are empty, and so are components that are. Of MSH the
        first two are there.
    """
    message = hl7.Message()
    made = [message.create_field([name])]
    if name == "MSH":
        made += [message.create_field([message.separators[1]]), message.create_field([ENCODING])]
    for number in range(len(made), max(fields, default=0) + 1):
        made.append(_field(message, fields.get(number, "")))
    return message.create_segment(made)


def message(segments: Sequence[hl7.Segment]) -> str:
    """Put segments together; each ends in a carriage return."""
    return str(hl7.Message(sequence=list(segments)))


def _field(message: hl7.Message, value: Field) -> hl7.Field:
    if isinstance(value, str):
        return message.create_field([_escaped(message, value)])
    repeated = [value] if all(isinstance(one, str) for one in value) else value
    return message.create_field([_repetition(message, [str(c) for c in one]) for one in repeated])


def _repetition(message: hl7.Message, components: list[str]) -> hl7.Repetition:
    while components and not components[-1]:
        components.pop()
    return message.create_repetition([message.create_component([_escaped(message, c)]) for c in components])


def _escaped(message: hl7.Message, words: str) -> str:
    """What separates, in escape sequences; what ends a line, or is no letter at all, as a space. Letters
    beyond ASCII stay, which the library would write as bytes of no character set."""
    return "".join(_safe(message, letter) for letter in words).strip(" ")


def _safe(message: hl7.Message, letter: str) -> str:
    if not letter.isprintable():
        return " "
    return str(message.escape(letter)) if letter.isascii() else letter
