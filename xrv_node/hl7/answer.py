"""What a peer says of a message: MSA and ERR of its acknowledgement (HL7 v2.5.1, chapter 2.9.2 and 2.15)."""

from __future__ import annotations

from dataclasses import dataclass

import hl7


@dataclass(frozen=True, slots=True)
class Answer:
    """An acknowledgement."""

    code: str
    """MSA-1 (HL7 table 0008)."""
    error: str
    """ERR-3.1 (HL7 table 0357), or MSA-6.1 where older peers have it; empty where neither tells."""

    @property
    def words(self) -> str:
        """Both, as they are shown; nothing of the peer's free text, which may name the patient."""
        return " ".join(filter(None, (self.code, self.error)))


CODES = ("AA", "AE", "AR", "CA", "CE", "CR")


def read(data: bytes, control_id: str) -> Answer:
    """Read an acknowledgement.

    Parameters
    ----------
    control_id
        Of the message that it must be for.

    Raises
    ------
    ValueError
        When it is none, or another message's.
    """
    try:
        message = hl7.parse(data.decode("latin-1"))  # what is read of it is ASCII
        code, of = (str(message.extract_field("MSA", 1, number)) for number in (1, 2))
        error = _first(message, ("ERR", 3), ("MSA", 6))
    except Exception as problem:  # from outside: the library has no class for what it cannot read
        raise ValueError("it is no acknowledgement") from problem
    if code not in CODES:
        raise ValueError("it is no acknowledgement")
    if of != control_id:
        raise ValueError("it is another message's")
    return Answer(code, error)


def _first(message: hl7.Message, *places: tuple[str, int]) -> str:
    """The first of some fields that has a number, which is a code of the table."""
    for name, number in places:
        try:
            found = str(message.extract_field(name, 1, number, 1, 1))
        except (KeyError, IndexError):
            continue
        if found.isascii() and found.isdecimal() and len(found) == len("207"):
            return found
    return ""
