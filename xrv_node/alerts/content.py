"""What a message says: as JSON for programs (``dicom_config/alert.schema.json``), as lines for people."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from xrv_node import languages, reasons
from xrv_node.alerts.notes import MOST, Message, Note
from xrv_node.reasons import Reason
from xrv_node.visible import visible

SCHEMA = "xrv-node/alert/1"

PatientOf = Callable[[str], dict[str, str]] | None
"""What identifies a study, by its UID; None where that is not asked for."""


def as_json(message: Message, node: str, language: str, patient_of: PatientOf = None) -> dict[str, Any]:
    """Return the body of a webhook."""
    return {
        "schema": SCHEMA,
        "node": node,
        "alert": message.alert,
        "id": message.id,
        "made": message.made_at.astimezone(UTC).isoformat(),
        "sent": datetime.now(UTC).isoformat(),
        "attempt": message.attempts + 1,
        "notes": [_note(note, language, patient_of) for note in message.notes[:MOST]],
        "left_out": message.left_out,
        "notice": languages.table(language)["text"]["notice"],
    }


def _note(note: Note, language: str, patient_of: PatientOf) -> dict[str, Any]:
    made = {
        "what": note.what,
        "event": note.event,
        "at": note.at,
        **reasons.plain(note.reason),
        "text": note.reason.words(language),
    }
    return made | ({"patient": patient_of(note.study)} if patient_of and note.study else {})


def subject(message: Message, node: str, language: str) -> str:
    """Return the subject of a mail: one line."""
    if len(message.notes) == 1 and message.notes[0].what != "finding":
        return _line(f"{node}: {message.notes[0].reason.words(language)}")
    told = Reason("alert-subject", node=node, alert=message.alert, number=len(message.notes))
    return _line(told.words(language))


def as_lines(message: Message, node: str, language: str, patient_of: PatientOf = None) -> str:
    """Return the text of a mail: a paragraph a note, in the machine's time."""
    paragraphs = []
    for note in message.notes[:MOST]:
        at = datetime.fromisoformat(note.at).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
        lines = [f"{at}  {_line(note.reason.words(language))}"]
        if patient_of and note.study:
            lines += [
                f"    {name}: {_line(value)}" for name, value in patient_of(note.study).items() if value
            ]
        paragraphs.append("\n".join(lines))
    if message.left_out:
        paragraphs.append(Reason("alert-left-out", number=message.left_out).words(language))
    paragraphs.append(
        f"-- \n{node}, {message.alert}, {message.id}\n{languages.table(language)['text']['notice']}"
    )
    return "\n\n".join(paragraphs) + "\n"


def _line(words: str) -> str:
    return visible(words).replace("\n", " ")
