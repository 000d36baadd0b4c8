"""What is wrong with a configuration that can be read: the files that it names, and keys that disagree.

Nothing is started and nobody is called. Each line begins with the key.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path

from xrv_node import languages, tls
from xrv_node.doctor.diagnosis import Examined, Found, State
from xrv_node.errors import ConfigError
from xrv_node.hl7 import fhir, mapping
from xrv_node.settings import Settings
from xrv_node.settings.destinations import DimseDestination, FhirDestination, Hl7Destination
from xrv_node.settings.http_service import HttpService
from xrv_node.settings.section import is_loopback
from xrv_node.settings.tls import TlsClientSection, TlsSection

SOON = timedelta(days=30)
"""Before its end a certificate is warned of: a hospital's authority may need weeks for a new one."""

_OTHERS_READ = 0o004


def configuration(node: Examined) -> Found:
    """The check of the doctor."""
    found = list(look(node.settings))
    yield from found or [(State.OK, "its files are there and its keys agree", "")]


def look(settings: Settings) -> Found:
    """What is wrong, the key first, and the remedy."""
    for part in (_certificates, _secrets, _mappings, _extras, _clear, _ports, _callers, _languages):
        yield from part(settings)


def _certificates(settings: Settings) -> Found:
    for key, files in _tls_tables(settings):
        try:
            if isinstance(files, TlsSection):
                tls.server_context(files, key)
            else:
                tls.client_context(files.ca, files.certificate, files.key, key)
        except ConfigError as error:
            yield State.FAIL, str(error), "give PEM files that belong together and that this user can read"
            continue
        if files.certificate is None or files.key is None:
            continue
        try:
            ends = tls.valid_until(files.certificate, files.key)
        except ConfigError as error:
            yield State.FAIL, f"{key}.certificate: {error}", "have it renewed"
        else:
            if ends is not None and ends - datetime.now(UTC) < SOON:
                says = f"{key}.certificate: {files.certificate} ends on {ends:%Y-%m-%d}"
                yield State.WARN, says, "have it renewed"
        yield from _private(f"{key}.key", files.key)


def _tls_tables(settings: Settings) -> Iterator[tuple[str, TlsSection | TlsClientSection]]:
    peers = ((one.key, one) for one in (*settings.destinations, *settings.archives))
    alerts = ((f"alerts.{a.name}", a) for a in settings.alerts)
    for table, section in (
        *(("receive", settings.receive), ("audit", settings.audit), ("web", settings.web)),
        *((("web.oidc", settings.web.oidc),) if settings.web.oidc else ()),
        *peers,
        *alerts,
    ):
        for key, value in section:
            if isinstance(value, TlsSection | TlsClientSection):
                yield f"{table}.{key}", value


def _secrets(settings: Settings) -> Found:
    web = settings.web
    files = [("web.token_file", web.token_file)]
    files += [("web.oidc.client_secret_file", web.oidc.client_secret_file)] if web.oidc else []
    for one in (*settings.destinations, *settings.archives):
        if not isinstance(one, HttpService):
            continue
        files += [(f"{one.key}.{k}", getattr(one, k)) for k in ("token_file", "password_file")]
        if one.token_variable and not os.environ.get(one.token_variable):
            says = f"{one.key}.token_variable: {one.token_variable} is not in this environment"
            yield State.WARN, says, "see that the service sets it"
    for alert in settings.alerts:
        keys = ("secret_file", "password_file")
        files += [(f"alerts.{alert.name}.{k}", getattr(alert, k, None)) for k in keys]
    for key, file in files:
        if file is None:
            continue
        try:
            text = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "not text"
            yield (
                State.FAIL,
                f"{key}: {file} cannot be read ({why})",
                "write the secret into it, for this user",
            )
            continue
        if not text:
            yield State.FAIL, f"{key}: {file} is empty", "write the secret into it"
        yield from _private(key, file)


def _mappings(settings: Settings) -> Found:
    for one in settings.destinations:
        if isinstance(one, Hl7Destination):
            try:
                mapping.load(one.mapping_file, f"destinations.{one.name}.mapping_file")
            except ConfigError as error:
                yield State.FAIL, str(error), "correct the file; dicom_config/hl7.toml has every row"


def _extras(settings: Settings) -> Found:
    for one in settings.destinations:
        if isinstance(one, FhirDestination) and not fhir.installed():
            yield State.FAIL, f"destinations.{one.name}.kind: {fhir.MISSING}", fhir.REMEDY

    if settings.web.oidc and find_spec("authlib") is None:
        yield State.FAIL, "web.oidc: the package authlib is not installed", "pip install 'xrv-node[oidc]'"


def _private(key: str, file: Path) -> Found:
    if file.stat().st_mode & _OTHERS_READ:
        yield State.WARN, f"{key}: every user of this machine can read {file}", f"chmod o= {file}"


def _clear(settings: Settings) -> Found:
    web = settings.web
    if web.enabled and not (is_loopback(web.host) or web.tls or web.trusted_proxies):
        says = f"web.host: {web.host} is reached without TLS: nobody signs in, and tokens go in clear"
        yield State.WARN, says, "give [web.tls], or name a proxy that has TLS in web.trusted_proxies"


def _ports(settings: Settings) -> Found:
    receive, web = settings.receive, settings.web
    if web.enabled and web.port == receive.port != 0 and _meet(receive.host, web.host):
        yield State.FAIL, f"web.port: {web.port} is receive.port too", "give one of them another port"
    for one in settings.destinations:
        if not isinstance(one, DimseDestination):
            continue
        ours = (one.port, one.ae_title) == (receive.port, receive.ae_title)
        if ours and (one.host == receive.host or is_loopback(one.host)):
            says = f"destinations.{one.name}: it is this node itself"
            yield State.FAIL, says, "name the host, port and AE title of the archive"


def _meet(one: str, other: str) -> bool:
    """Whether two hosts to listen on have an address in common."""
    try:
        return one == other or any(ip_address(host).is_unspecified for host in (one, other))
    except ValueError:
        return False


def _callers(settings: Settings) -> Found:
    receive = settings.receive
    if remedy := receive.open_to_all:
        yield State.WARN, "receive.allowed_calling_ae: nobody is kept out", remedy
    if not receive.allowed_calling_ae:
        return
    for archive in settings.committing:
        if archive.ae_title not in receive.allowed_calling_ae:
            key = f"destinations.{archive.name}.commitment"
            says = f"{key}: a later answer of {archive.ae_title} would be refused"
            yield State.WARN, says, f'add "{archive.ae_title}" to receive.allowed_calling_ae'
    for one in settings.destinations:
        for title in one.when.calling_ae:
            if title not in receive.allowed_calling_ae:
                key = f"destinations.{one.name}.when.calling_ae"
                says = f"{key}: nothing comes from {title}, for it is not let in"
                yield State.WARN, says, f'add "{title}" to receive.allowed_calling_ae, or take it out here'


def _languages(settings: Settings) -> Found:
    if settings.node.languages_dir is None:
        return
    remedy = "put it right; until then English stands there"
    for name in languages.names():
        try:
            for says in languages.complaints(name):
                yield State.FAIL, f"node.languages_dir: {name}.toml: {says}", remedy
        except ConfigError as error:
            yield State.FAIL, f"node.languages_dir: {error}", "correct the file"
