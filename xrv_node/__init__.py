"""xrv-node: a DICOM node around the TorchXRayVision models. Research software, not a medical device.

The networks for programs, each imported when it is first asked for: ``get_model``; for files and folders
``classify``, ``segment``, ``explain``, ``embed`` and ``reconstruct``; for one image ``read`` and ``prepare``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xrv_node.images.classify import classify
    from xrv_node.images.embed import embed
    from xrv_node.images.explain import explain
    from xrv_node.images.files import Unread
    from xrv_node.images.reconstruct import reconstruct
    from xrv_node.images.segment import segment
    from xrv_node.models import get_model
    from xrv_node.radiograph.prepare import prepare
    from xrv_node.radiograph.read import read

__all__ = [
    "Unread",
    "classify",
    "embed",
    "explain",
    "get_model",
    "prepare",
    "read",
    "reconstruct",
    "segment",
]

__version__ = "0.1.0"

IMPLEMENTATION_CLASS_UID = "2.25.96116369569352597390691838276327498482"
"""Names this implementation to peers and in files (PS3.7 D.3.3.2); from a UUID (PS3.5 B.2)."""
IMPLEMENTATION_VERSION_NAME = f"XRVNODE {__version__}"
MANUFACTURER, MODEL_NAME = "xrv-node project", "xrv-node"
"""In every result: by them a node knows its own and those of other xrv-nodes again."""

_ROOMS = {
    "Unread": "images.files",
    "classify": "images.classify",
    "embed": "images.embed",
    "explain": "images.explain",
    "get_model": "models",
    "prepare": "radiograph.prepare",
    "read": "radiograph.read",
    "reconstruct": "images.reconstruct",
    "segment": "images.segment",
}


def __getattr__(name: str) -> Any:
    """Import what a program asks for; the command line and the receiver never pay for torch."""
    if name in _ROOMS:
        return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
