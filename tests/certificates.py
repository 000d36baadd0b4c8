"""Certificates for tests of TLS."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Pair:
    """A certificate, which is its own authority, and its key."""

    certificate: Path
    key: Path

    def context(self, trusted: Pair | None = None) -> ssl.SSLContext:
        """For a server with it; `trusted`: who must show theirs."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        if trusted is not None:
            context.load_verify_locations(trusted.certificate)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def pair(directory: Path, name: str, address: str = "IP:127.0.0.1", *, days: int = 2) -> Pair:
    """Make a certificate for an address with the ``openssl`` program; `days`: until its end."""
    openssl = shutil.which("openssl") or pytest.skip("openssl is not installed")
    made = Pair(directory / f"{name}.crt", directory / f"{name}.key")
    subprocess.run(
        [
            openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", made.key, "-out", made.certificate, "-days", str(days), "-subj", f"/CN={name}",
            "-addext", f"subjectAltName={address}",
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    return made
