"""The DIMSE statuses with which an object is answered."""

from __future__ import annotations

SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700
DOES_NOT_MATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000
"""Failure statuses of the Storage Service Class (PS3.4 table B.2-1)."""
CLASS_NOT_SUPPORTED = 0x0122
"""Of a C-STORE: refused, SOP class not supported (PS3.7 9.1.1.1.9)."""
PROCESSING_FAILURE = 0x0110
"""PS3.7 C.5.18: something of ours broke; the sender keeps the object and may try again."""
