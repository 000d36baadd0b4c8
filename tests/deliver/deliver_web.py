"""A DICOMweb service for the tests, as the node's destination, and its answers."""

from __future__ import annotations

import json
from typing import Any

from xrv_node.deliver.attempt import Attempt
from xrv_node.deliver.web import WebSender
from xrv_node.settings.destinations import WebDestination
from xrv_node.values import StoredResult


def destination(port: int, scheme: str = "http", **keys: Any) -> WebDestination:
    fields = {"name": "web", "url": f"{scheme}://127.0.0.1:{port}/dicom-web/"}
    return WebDestination(**(fields | keys))


def send(port: int, stored: StoredResult, scheme: str = "http", **keys: Any) -> Attempt:
    sender = WebSender(destination(port, scheme, **keys), "XRVNODE")
    (attempt,) = sender.send([stored])
    sender.close()
    return attempt


def answer(stored: StoredResult, **reasons: int) -> bytes:
    """A Store Instances Response in the DICOM JSON model (PS3.18 annex F)."""
    item: dict[str, Any] = {
        "00081150": {"vr": "UI", "Value": [stored.sop_class_uid]},
        "00081155": {"vr": "UI", "Value": [stored.sop_instance_uid]},
    }
    if "failed" in reasons:
        item["00081197"] = {"vr": "US", "Value": [reasons["failed"]]}
        return json.dumps({"00081198": {"vr": "SQ", "Value": [item]}}).encode()
    if "warned" in reasons:
        item["00081196"] = {"vr": "US", "Value": [reasons["warned"]]}
    return json.dumps({"00081199": {"vr": "SQ", "Value": [item]}}).encode()
