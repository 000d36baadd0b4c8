"""Acknowledgements as receivers write them, and anything else."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrv_node.hl7.answer import CODES, Answer, read

MSH = "MSH|^~\\&|RIS||XRVNODE||20261201||ACK|9|P|2.5.1\r"


@pytest.mark.parametrize(
    ("segments", "answer"),
    [
        ("MSA|AA|ID\r", Answer("AA", "")),
        ("MSA|AE|ID|DOE JANE\rERR|||204^Unknown key^HL70357|E\r", Answer("AE", "204")),
        ("MSA|AR|ID||||207^Internal^HL70357", Answer("AR", "207")),
        (
            "MSA|AE|ID\rERR|PID^1^11^103&Table value&HL70357\r",
            Answer("AE", ""),
        ),  # of before v2.5: the code stands
        ("SFT|x\rMSA|AE|ID\rERR|||^DOE\r", Answer("AE", "")),
    ],
)
def test_what_a_receiver_says(segments: str, answer: Answer) -> None:
    assert read((MSH + segments).encode(), "ID") == answer


def test_other_separators_are_the_senders_to_choose() -> None:
    assert read(b"MSH$%~\\&$RIS\rMSA$AE$ID\rERR$$$207%x\r", "ID") == Answer("AE", "207")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80) | st.text("MSHAERC|^~\\&\r0127ID", max_size=80).map(str.encode))
def test_anything_else_is_a_value_error_or_an_answer(data: bytes) -> None:
    for before in (b"", MSH.encode(), MSH.encode() + b"MSA|AA|ID|"):
        with suppress(ValueError):
            assert read(before + data, "ID").code in CODES
