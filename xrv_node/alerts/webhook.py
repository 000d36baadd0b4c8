"""A message as a signed POST.

The signature is HMAC-SHA256 (RFC 2104) of the body's bytes with the secret of ``secret_file``, in
hexadecimal: ``X-Xrv-Node-Signature: sha256=<64 digits>``. The body says when it was sent, so that an old one
is known.
"""

from __future__ import annotations

import hashlib
import hmac
import json

import requests

from xrv_node import http_session, secret, tls
from xrv_node.alerts.content import PatientOf, as_json
from xrv_node.alerts.notes import Message
from xrv_node.errors import DestinationError
from xrv_node.network.terms import CONNECT_SECONDS
from xrv_node.product import MODEL_NAME
from xrv_node.reasons import Reason
from xrv_node.settings.alerts import WebhookAlert

SIGNATURE, ATTEMPT, ID = "X-Xrv-Node-Signature", "X-Xrv-Node-Attempt", "X-Xrv-Node-Id"
MAX_ANSWER = 1 << 16
"""Bytes of an answer, of which nothing but the status is looked at."""


def send(alert: WebhookAlert, message: Message, node: str, patient_of: PatientOf) -> None:
    """Post a message.

    Raises
    ------
    DestinationError
        When the receiver does not answer with a status from 200 to 299 in time.
    ConfigError
        When the secret, or a file of its TLS, is missing or wrong.
    """
    body = json.dumps(as_json(message, node, alert.language, patient_of), ensure_ascii=False).encode()
    key = secret.read(alert.secret_file, f"alerts.{alert.name}.secret_file")
    headers = {
        "Content-Type": "application/json",
        "User-Agent": MODEL_NAME,
        SIGNATURE: f"sha256={sign(key, body)}",
        ATTEMPT: str(message.attempts + 1),
        ID: message.id,
    }
    with _session(alert) as session:
        timeout = (min(CONNECT_SECONDS, alert.timeout_seconds), alert.timeout_seconds)
        try:
            answer = session.post(alert.url, data=body, headers=headers, timeout=timeout)
        except requests.exceptions.SSLError:
            raise DestinationError(Reason("web-no-tls")) from None
        except requests.Timeout:
            raise DestinationError(Reason("web-no-answer-in-time")) from None
        except requests.TooManyRedirects:
            raise DestinationError(Reason("sends-elsewhere")) from None
        except requests.RequestException as error:  # its text holds the address, which may be a secret
            raise DestinationError(Reason("web-no-answer", error=type(error).__name__)) from None
    if not 200 <= answer.status_code < 300:
        raise DestinationError(Reason("http-status", http=f"HTTP {answer.status_code}"))


def sign(key: str, body: bytes) -> str:
    """Return the signature of a body, in hexadecimal."""
    return hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


def _session(alert: WebhookAlert) -> requests.Session:
    return http_session.session(
        tls.of_client(alert.tls, f"alerts.{alert.name}.tls"),
        seconds=alert.timeout_seconds,
        most=lambda: MAX_ANSWER,
        proxy=alert.proxy,
    )
