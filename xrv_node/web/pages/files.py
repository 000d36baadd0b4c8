"""What pages load: style and scripts of our own, and the pictures of an image."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from pathlib import PurePath

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse

from xrv_node.web.api import images, studies
from xrv_node.web.node import of
from xrv_node.web.pages.frame import PageRoute
from xrv_node.web.problem import Problem

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@cache
def _static() -> dict[str, tuple[bytes, str]]:
    """Every file by its name, with its digest."""
    found = {}
    for one in (files("xrv_node.web") / "static").iterdir():
        if PurePath(one.name).suffix in _KINDS:
            data = one.read_bytes()
            found[one.name] = data, f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    return found


@router.get("/static/{name}")
def static(request: Request, name: str) -> Response:
    """Style, scripts and drawings."""
    if name not in _static():
        raise Problem(404, "there is no such file")
    data, tag = _static()[name]
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(data, media_type=f"{_KINDS[PurePath(name).suffix]}; charset=utf-8", headers=headers)


@router.get("/studies/{study}/images/{instance}/pixels")
def pixels(request: Request, study: str, instance: str) -> Response:
    """All grey levels of an image, and what the viewer must know of them."""
    grey = images.pixels(of(request), study, instance)
    about = {
        "Image-Rows": str(grey.rows),
        "Image-Columns": str(grey.columns),
        "Image-Low": f"{grey.low:.6g}",
        "Image-High": f"{grey.high:.6g}",
        "Image-Aspect": f"{grey.aspect:.6g}",
    }
    return Response(grey.data, media_type="application/octet-stream", headers=about)


@router.get("/studies/{study}/images/{instance}/picture.png")
def picture(request: Request, study: str, instance: str) -> Response:
    """An image reduced to a screen's size."""
    return _png(images.picture(of(request), study, instance))


@router.get("/studies/{study}/images/{instance}/overlay.png")
def overlay(request: Request, study: str, instance: str) -> Response:
    """What the networks say of an image, in one picture."""
    return _png(images.overlay(of(request), study, instance))


@router.get("/studies/{study}/images/{instance}/heat/{label}.png")
def heat(request: Request, study: str, instance: str, label: str) -> Response:
    """Where one finding's score comes from."""
    return _png(images.heat(of(request), study, instance, label))


@router.get("/studies/{study}/results/{instance}")
def result(request: Request, study: str, instance: str) -> Response:
    """A result as the file that it is."""
    path = studies.result(of(request), study, instance)
    return FileResponse(path, media_type="application/dicom", filename=f"{instance}.dcm")


def _png(data: bytes) -> Response:
    return Response(data, media_type="image/png")
