"""xrv-node: a DICOM node around the TorchXRayVision models. Research software, not a medical device.

The networks for programs, each imported when it is first asked for: ``get_model``; for files and folders
``classify``, ``segment``, ``explain``, ``embed`` and ``reconstruct``; for one image ``read`` and ``prepare``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from xrv_node.product import VERSION

if TYPE_CHECKING:
    from xrv_node.lab.images.classify import classify
    from xrv_node.lab.images.embed import embed
    from xrv_node.lab.images.explain import explain
    from xrv_node.lab.images.files import Unread
    from xrv_node.lab.images.reconstruct import reconstruct
    from xrv_node.lab.images.segment import segment
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

__version__ = VERSION

_ROOMS = {
    "Unread": "lab.images.files",
    "classify": "lab.images.classify",
    "embed": "lab.images.embed",
    "explain": "lab.images.explain",
    "get_model": "models",
    "prepare": "radiograph.prepare",
    "read": "radiograph.read",
    "reconstruct": "lab.images.reconstruct",
    "segment": "lab.images.segment",
}


def __getattr__(name: str) -> Any:
    """Import what a program asks for; the command line and the receiver never pay for torch."""
    if name in _ROOMS:
        return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
