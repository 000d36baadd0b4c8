"""Health and metrics: what probes and Prometheus ask."""

from __future__ import annotations

from http import HTTPStatus

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from xrv_node import disk, role_locks, secret
from xrv_node.db.store import Store
from xrv_node.errors import ConfigError
from xrv_node.settings import Settings
from xrv_node.web import node as nodes
from xrv_node.web.metrics import NodeCollector

router = APIRouter(include_in_schema=False)

PROBES = 4
"""Threads of their own: a probe does not wait behind those who store and fetch."""


@router.get("/health/live")
async def live() -> Response:
    """Whether the process answers."""
    return _say(HTTPStatus.OK, "alive")


@router.get("/health/ready")
async def ready(request: Request) -> Response:
    """Whether the node would take an object and answer for it."""
    node = nodes.of(request)
    why = await to_thread.run_sync(not_ready, node.settings, node.store, limiter=_places(request))
    return _say(HTTPStatus.SERVICE_UNAVAILABLE if why else HTTPStatus.OK, why or "ready")


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """The numbers."""
    encode, media_type = choose_encoder(request.headers.get("accept", ""))
    registry = request.app.state.registry
    if names := request.query_params.getlist("name[]"):
        registry = registry.restricted_registry(names)
    body = await to_thread.run_sync(encode, registry, limiter=_places(request))
    return Response(body, media_type=media_type)


def registry(settings: Settings, store: Store) -> CollectorRegistry:
    """What ``/metrics`` collects."""
    made = CollectorRegistry(auto_describe=False)
    made.register(NodeCollector(settings, store))
    return made


def word(settings: Settings) -> str | None:
    """What a client must show to read the metrics that has no token of its own, if anything.

    Raises
    ------
    ConfigError
        When the file cannot be read or is empty.
    """
    file = settings.web.token_file
    return None if file is None else secret.read(file, "web.token_file")


def not_ready(settings: Settings, store: Store) -> str | None:
    """Why the node would not take an object and answer for it now; None when it would."""
    try:
        store.require_current()
    except ConfigError:
        return "the database does not answer or has another schema; see the log"
    if why := disk.why_paused(settings, store):
        return str(why)
    missing = [role for role in role_locks.ROLES if not role_locks.holders(settings.data_dir, role)]
    return f"not running: {', '.join(missing)}" if missing else None


def _places(request: Request) -> CapacityLimiter:
    state = request.app.state
    if not hasattr(state, "probes"):  # made on the loop that uses it
        state.probes = CapacityLimiter(PROBES)
    found: CapacityLimiter = state.probes
    return found


def _say(status: HTTPStatus, text: str) -> Response:
    return PlainTextResponse(text + "\n", status)
