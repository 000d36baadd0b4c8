"""Digests by which the database knows a patient, an accession or a station again, and that name none."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from pathlib import Path

from xrv_node import durable

_KEY_FILE = "patients.key"

KNOWN_BY = {"accession": "AccessionNumber", "patient_id": "PatientID", "station": "StationName"}
"""Columns of an image's row that hold the digest of an attribute of its header."""


def keyed(data_dir: Path, *said: str) -> str:
    """Return a keyed digest (HMAC-SHA-256, hex), which tells two of these apart and names neither.

    Patient IDs are short numbers: without the key, which is in a file of its own below the data directory, a
    plain digest in the database could be reversed by trying them all.
    """
    return hmac.new(_key(data_dir), json.dumps(said).encode(), hashlib.sha256).hexdigest()


def attribute(data_dir: Path, column: str, value: str) -> str:
    """Return what a column of :data:`KNOWN_BY` holds of this value: its digest, of none nothing."""
    return keyed(data_dir, KNOWN_BY[column], value) if value else ""


def _key(data_dir: Path) -> bytes:
    """Read the key, made at the first need; of two processes that make one, the first wins."""
    path = data_dir / _KEY_FILE
    if not path.exists():
        draft = durable.draft(data_dir, [secrets.token_bytes(32)])
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_bytes()
