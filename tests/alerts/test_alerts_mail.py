"""A message as mail, to a server of another maker's: aiosmtpd."""

from __future__ import annotations

import email.policy
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword
from certificates import Pair, pair
from ports import free_port

from xrv_node.alerts import mail
from xrv_node.alerts.notes import Message, Note
from xrv_node.errors import DestinationError
from xrv_node.reasons import Reason, as_is
from xrv_node.settings.alerts import MailAlert
from xrv_node.settings.tls import TlsClientSection

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
NOTE = Note(
    "away",
    3,
    NOON.isoformat(),
    Reason("alert-away", destination="pacs", why=as_is("a\r\nBcc: x@y\x1b[2J")),
    "1.2.3",
)
MESSAGE = Message("it-3", "it", (NOTE,), NOON, 0)


class Box:
    """What the server takes, and what it says."""

    def __init__(self) -> None:
        self.got: list[Envelope] = []
        self.refuses: set[str] = set()
        self.says = "250 OK"

    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Envelope, address: str, options: Any
    ) -> str:
        if address in self.refuses:
            return "550 no such user DOE JANE"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:
        if self.says.startswith("250"):
            self.got.append(envelope)
        return self.says

    def mail(self) -> Any:
        (envelope,) = self.got
        return message_from_bytes(envelope.original_content, policy=email.policy.default)


@contextmanager
def server(
    files: Pair | None = None, *, implicit: bool = False, login: bool = False
) -> Iterator[tuple[Box, int]]:
    def check(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"node", b"open sesame")
        return AuthResult(success=right, handled=right)

    box, port = Box(), free_port()
    context = files.context() if files else None
    options: dict[str, Any] = {"ssl_context": context} if implicit else {"tls_context": context}
    if login:
        options |= {"authenticator": check, "auth_required": True, "auth_require_tls": not implicit}
    made = Controller(
        box, hostname="127.0.0.1", port=port, require_starttls=bool(files) and not implicit, **options
    )
    made.start()
    try:
        yield box, port
    finally:
        made.stop()


def alert(port: int, **changes: Any) -> MailAlert:
    keys: dict[str, Any] = {
        "name": "it", "on": ["away"], "host": "127.0.0.1", "port": port, "security": "none",
        "sender": "node@hospital.example", "to": ["it@hospital.example", "x@hospital.example"], "timeout_seconds": 10,
    }  # fmt: skip
    return MailAlert(**keys | changes)


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not")
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_it_goes_over_tls_with_a_login(tmp_path: Path, security: str) -> None:
    theirs, other = pair(tmp_path, "mail"), pair(tmp_path, "other")
    (tmp_path / "password").write_text("open sesame\n")
    login: dict[str, Any] = {"security": security, "user": "node", "password_file": tmp_path / "password"}
    with server(theirs, implicit=security == "tls", login=True) as (box, port):
        good = TlsClientSection(ca=theirs.certificate)
        mail.send(alert(port, tls=good, **login), MESSAGE, "node1", None)
        with pytest.raises(DestinationError, match="no TLS"):
            mail.send(
                alert(port, tls=TlsClientSection(ca=other.certificate), **login), MESSAGE, "node1", None
            )
        (tmp_path / "password").write_text("another\n")
        with pytest.raises(DestinationError, match="does not take user and password"):
            mail.send(alert(port, tls=good, **login), MESSAGE, "node1", None)
    (envelope,) = box.got
    assert (envelope.mail_from, envelope.rcpt_tos) == (
        "node@hospital.example", ["it@hospital.example", "x@hospital.example"],
    )  # fmt: skip


def test_what_is_written_in_the_language_set_and_no_patient() -> None:
    with server() as (box, port):
        mail.send(alert(port, language="fr"), MESSAGE, "node1", None)
    made = box.mail()
    assert made["Subject"].startswith("node1: la destination pacs est absente : a")
    assert made.get("Bcc") is None
    assert (made["Message-ID"], made["Auto-Submitted"]) == ("<it-3@hospital.example>", "auto-generated")
    body = made.get_content()
    assert "la destination pacs est absente" in body
    assert "\x1b" not in body
    assert "1.2.3" not in body
    assert made.get_content_type() == "text/plain"


def test_a_patient_is_there_where_asked_for() -> None:
    with server() as (box, port):
        mail.send(alert(port), MESSAGE, "node1", lambda uid: {"study_instance_uid": uid, "patient_id": "P-7"})
    body = box.mail().get_content()
    assert "patient_id: P-7" in body
    assert "P-7" not in box.mail()["Subject"]


def test_a_server_that_cannot_encrypt_gets_no_message() -> None:
    with server() as (box, port), pytest.raises(DestinationError, match="cannot do what `security`"):
        mail.send(alert(port, security="starttls"), MESSAGE, "n", None)
    assert box.got == []


@pytest.mark.parametrize(
    ("refuses", "says", "told"),
    [
        ({"x@hospital.example"}, "250 OK", "refuses 1 of the recipients"),
        ({"x@hospital.example", "it@hospital.example"}, "250 OK", "refuses 2 of the recipients"),
        (set(), "554 DOE JANE", r"refuses the message \(code 554\)"),
        (set(), "451 later", r"refuses the message \(code 451\)"),
    ],
)
def test_what_is_refused_is_told_without_the_servers_words(refuses: set[str], says: str, told: str) -> None:
    with server() as (box, port):
        box.refuses, box.says = refuses, says
        with pytest.raises(DestinationError, match=told) as error:
            mail.send(alert(port), MESSAGE, "n", None)
        assert "DOE" not in str(error.value)


@pytest.mark.parametrize("greeting", [b"", b"220 h", b"220-h\r\n" * 3])
@pytest.mark.parametrize("security", ["none", "starttls", "tls"])
def test_a_server_that_hangs_or_drips_is_not_waited_for(greeting: bytes, security: str) -> None:
    gone = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                try:
                    connection.sendall(greeting)
                    while not gone.wait(0.05):
                        connection.sendall(greeting[-1:])
                except OSError:
                    gone.wait(20)

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        with pytest.raises(DestinationError):
            mail.send(
                alert(listener.getsockname()[1], security=security, timeout_seconds=0.4), MESSAGE, "n", None
            )
        gone.set()
        thread.join(10)
    assert not thread.is_alive()


def test_nobody_there_is_told() -> None:
    port = free_port()
    with pytest.raises(DestinationError, match=f"no connection to 127.0.0.1:{port}"):
        mail.send(alert(port), MESSAGE, "n", None)
