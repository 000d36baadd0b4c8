"""TLS as BCP 195 wants it (RFC 9325, RFC 8996; DICOM PS3.15 annex B): one place for both directions."""

from __future__ import annotations

import ssl
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from xrv_node.errors import ConfigError
from xrv_node.settings.tls import TlsClientSection, TlsSection

CIPHERS = "ECDHE+AESGCM"
"""For TLS 1.2: forward secrecy and authenticated encryption only (RFC 9325 section 4.2). TLS 1.3 has no
others."""

WITHOUT = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL"})
"""OpenSSL's reasons for a handshake that failed because the other side speaks without TLS."""

_DATES = (9, 10)
"""X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED of OpenSSL's x509_vfy.h."""


def server_context(files: TlsSection, key: str = "receive.tls") -> ssl.SSLContext:
    """The context for incoming connections.

    Parameters
    ----------
    files
        Our certificate and its key; with `ca`, peers must show a certificate of that authority (mutual
        authentication).
    key
        The table of the configuration, for messages.

    Raises
    ------
    ConfigError
        When a file is missing, is not what it should be, or key and certificate do not belong together.
    """
    context = _hardened(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    _show(context, files.certificate, files.key, key)
    if files.ca is not None:
        _trust(context, files.ca, key)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(
    ca: Path | None, certificate: Path | None = None, private_key: Path | None = None, key: str = "tls"
) -> ssl.SSLContext:
    """The context for outgoing connections; the peer's certificate and host name are checked always.

    Parameters
    ----------
    ca
        The authority that the peer's certificate must come from; None for those the system trusts.
    certificate, private_key
        Ours, for peers that ask for one.
    key
        The table of the configuration, for messages.

    Raises
    ------
    ConfigError
        As :func:`server_context`.
    """
    context = _hardened(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    if ca is None:
        context.load_default_certs()
    else:
        _trust(context, ca, key)
    if certificate is not None and private_key is not None:
        _show(context, certificate, private_key, key)
    return context


def of_client(files: TlsClientSection | None, key: str) -> ssl.SSLContext:
    """The context of a table ``tls`` of who connects; without one, for certificates that the system trusts.

    Raises
    ------
    ConfigError
        As :func:`server_context`.
    """
    if files is None:
        return client_context(None)
    context = client_context(files.ca, files.certificate, files.key, key)
    context.check_hostname = files.verify_host
    return context


def own_context(files: TlsSection, key: str = "receive.tls") -> ssl.SSLContext:
    """The context of a connection to ourselves: it trusts our own certificate, for whatever name, and shows
    it.

    Raises
    ------
    ConfigError
        As :func:`server_context`.
    """
    context = client_context(files.certificate, files.certificate, files.key, key)
    context.check_hostname = False
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN  # it need not be its own authority
    return context


def _hardened(context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996 deprecates 1.0 and 1.1
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION  # RFC 9325 sections 3.3 and 3.5
    return context


def _show(context: ssl.SSLContext, certificate: Path, private_key: Path, key: str) -> None:
    def no_password() -> str:  # a service has nobody to ask
        raise ConfigError(f"{key}.key: {private_key} is encrypted; give a key without a password")

    try:
        context.load_cert_chain(certificate, private_key, password=no_password)
    except ssl.SSLError as error:
        raise ConfigError(
            f"{key}: {certificate} and {private_key} are not a PEM certificate and its private key "
            f"({error.reason or 'not PEM'})"
        ) from error
    except OSError as error:
        missing = next((p for p in (certificate, private_key) if not p.is_file()), certificate)
        raise ConfigError(f"{key}: {missing} cannot be read ({error.strerror})") from error


def _trust(context: ssl.SSLContext, ca: Path, key: str) -> None:
    try:
        context.load_verify_locations(ca)
    except ssl.SSLError as error:
        raise ConfigError(
            f"{key}.ca: {ca} holds no PEM certificates ({error.reason or 'not PEM'})"
        ) from error
    except OSError as error:
        raise ConfigError(f"{key}.ca: {ca} cannot be read ({error.strerror})") from error


def valid_until(certificate: Path, private_key: Path) -> datetime | None:
    """When a certificate ends.

    The standard library reads the dates of a certificate only when a peer has shown it, so it is shown, in
    memory, to a peer that trusts it alone.

    Returns
    -------
    datetime or None
        UTC; None where it does not say so, as a certificate that is for clients only does not here.

    Raises
    ------
    ConfigError
        As :func:`server_context`, and when the certificate has ended or has not begun.
    """
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _show(server, certificate, private_key, "tls")
    _trust(client, certificate, "tls")
    client.check_hostname = False
    client.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN  # it need not be its own authority
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    looking = client.wrap_bio(back, there)
    showing = server.wrap_bio(there, back, server_side=True)
    try:
        for side in (looking, showing, looking):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
    except ssl.SSLCertVerificationError as error:
        if error.verify_code in _DATES:
            raise ConfigError(f"{certificate}: {error.verify_message}; get a new one") from error
        return None
    shown = looking.getpeercert() or {}
    ends = shown.get("notAfter")
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC) if isinstance(ends, str) else None
