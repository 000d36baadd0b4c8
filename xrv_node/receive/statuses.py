"""With which DIMSE status an object is refused."""

from __future__ import annotations

OUT_OF_RESOURCES = 0xA700
DOES_NOT_MATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000
"""Failure statuses of the Storage Service Class (PS3.4 table B.2-1)."""
CLASS_NOT_SUPPORTED = 0x0122
"""Of a C-STORE: refused, SOP class not supported (PS3.7 9.1.1.1.9)."""
