"""A message as mail: SMTP (RFC 5321), with STARTTLS (RFC 3207) or TLS from the start (RFC 8314)."""

from __future__ import annotations

import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from email.utils import format_datetime

from xrv_node import reasons, secret, tls
from xrv_node.alerts.content import PatientOf, as_lines, subject
from xrv_node.alerts.notes import Message
from xrv_node.errors import DestinationError
from xrv_node.network import outgoing
from xrv_node.reasons import Reason
from xrv_node.settings.alerts import MailAlert


def send(alert: MailAlert, message: Message, node: str, patient_of: PatientOf) -> None:
    """Hand a message to the mail server.

    Raises
    ------
    DestinationError
        When it does not take the message, for all or for any of the recipients, within `timeout_seconds`.
    ConfigError
        When the password, or a file of its TLS, is missing or wrong.
    """
    made = _mail(alert, message, node, patient_of)
    context = tls.of_client(alert.tls, f"alerts.{alert.name}.tls")
    password = alert.password_file and secret.read(alert.password_file, f"alerts.{alert.name}.password_file")
    smtp = _Smtp(alert, context)
    try:
        with _within(alert.timeout_seconds, smtp):
            smtp.connect(alert.host, alert.port)
            smtp.ehlo_or_helo_if_needed()
            if alert.security == "starttls":
                smtp.starttls(context=context)
                smtp.ehlo()
            if alert.user and password:
                smtp.login(alert.user, password)
            refused = smtp.send_message(made)
            with suppress(smtplib.SMTPException, OSError):
                smtp.quit()
    except ssl.SSLError as error:
        raise DestinationError(Reason("web-no-tls")) from error
    except smtplib.SMTPException as error:
        raise DestinationError(_said(error)) from error
    except TimeoutError as error:
        raise DestinationError(Reason("web-no-answer-in-time")) from error
    except OSError as error:
        why = reasons.of_system(error)
        raise DestinationError(Reason("no-connection", host=alert.host, port=alert.port, why=why)) from error
    finally:
        smtp.close()
        smtp.let_go()
    if refused:  # the others have it, and get it again: better than that one never does
        raise DestinationError(Reason("mail-refused-some", number=len(refused)))


def _mail(alert: MailAlert, message: Message, node: str, patient_of: PatientOf) -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"] = alert.sender, ", ".join(alert.to)
    made["Subject"] = subject(message, node, alert.language)
    made["Date"] = format_datetime(message.made_at)
    made["Message-ID"] = f"<{message.id}@{alert.sender.rpartition('@')[2]}>"
    made["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's absence note answers it
    made.set_content(as_lines(message, node, alert.language, patient_of))
    return made


def _said(error: smtplib.SMTPException) -> Reason:
    """What the server refuses; its own words may hold addresses."""
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return Reason("mail-login", code=error.smtp_code)
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return Reason("mail-cannot")
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return Reason("mail-refused-some", number=len(error.recipients))
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return Reason("web-no-answer", error="disconnected")
    code = getattr(error, "smtp_code", 0)
    return Reason("mail-refused", code=code)


class _Smtp(smtplib.SMTP):
    """A connection whose socket another thread can end: TLS takes the first handle away."""

    handle: socket.socket | None = None

    def __init__(self, alert: MailAlert, context: ssl.SSLContext) -> None:
        super().__init__(timeout=alert.timeout_seconds)
        self._host = alert.host  # which the base class compares the certificate with
        self._context = context if alert.security == "tls" else None

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        made = outgoing.reach(host, port, timeout)
        self.handle = made.dup()
        return made if self._context is None else self._context.wrap_socket(made, server_hostname=host)

    def end(self) -> None:
        """End it, from another thread."""
        if self.handle is not None:
            with suppress(OSError):
                self.handle.shutdown(socket.SHUT_RDWR)

    def let_go(self) -> None:
        """Close the second handle."""
        if self.handle is not None:
            self.handle.close()


@contextmanager
def _within(seconds: float, smtp: _Smtp) -> Iterator[None]:
    """End the connection when the time is over: a server that sends a byte now and then ends no timeout of a
    socket."""
    late = threading.Event()

    def end() -> None:
        late.set()
        smtp.end()

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, smtplib.SMTPException) as error:
        if late.is_set():
            raise TimeoutError("not done in time") from error
        raise
    finally:
        timer.cancel()
