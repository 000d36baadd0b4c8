"""WADO-RS: retrieving what is stored (PS3.18 10.4)."""

from __future__ import annotations

from fastapi import APIRouter

from xrv_node.web.dicomweb import wado_frames, wado_metadata, wado_objects, wado_rendered

router = APIRouter(include_in_schema=False)
for part in (wado_objects, wado_metadata, wado_frames, wado_rendered):
    router.include_router(part.router)
