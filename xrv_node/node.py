"""The composition root: starts, supervises and stops the node's processes. It alone knows every room.

``serve`` runs one process a role. They share nothing but the database and the spool, so each can die and be
started again without the others noticing: receiver, worker (one a device), courier (outbox and clock), and
web (health and metrics) where it is asked for.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import structlog

from xrv_node import machine, stopping
from xrv_node.audit import changes, command_user
from xrv_node.db import trail
from xrv_node.db.store import Store
from xrv_node.errors import ConfigError
from xrv_node.log import configure
from xrv_node.role_locks import hold_role, lock
from xrv_node.settings import Settings
from xrv_node.spool import Spool
from xrv_node.starting import check, renewed, views_from_pixels
from xrv_node.supervisor import AGAIN, DRAIN_SECONDS, FIRST, SUPERVISED, Role, Supervisor

log = structlog.get_logger("node")


# ---------------------------------------------------------------- the roles


def run_receiver(settings: Settings, stop: threading.Event, replaced: threading.Event) -> None:
    """Listen until told to stop, or replaced; associations that are open then are served to their end.

    Parameters
    ----------
    replaced
        Set when a successor listens: then they have all the time that they need.
    """
    from xrv_node.receive import server as listener

    store, spool = _state(settings)
    receive = settings.receive
    if receive.open_to_all:
        log.warning("not restricted", remedy=receive.open_to_all)
    with hold_role(settings.data_dir, "receiver") as owner:
        spool = replace(spool, desk=owner.rpartition("/")[2])
        spool.clear_drafts()
        server = listener.start(
            settings,
            store,
            spool,
            views_from_pixels=views_from_pixels(settings),
            shares_port=SUPERVISED in os.environ,
        )
        port = server.server_address[1]
        print(f"listening {port}", flush=True)
        log.info("listening", ae_title=receive.ae_title, host=receive.host, port=port, tls=bool(receive.tls))
        while not (stop.wait(0.1) or replaced.is_set()):
            pass
        if not stop.is_set():
            listener.retire(server, stop)
        listener.drain(server, DRAIN_SECONDS / 2)
    store.close()


def run_worker(settings: Settings, stop: threading.Event, *, commissioning: bool) -> None:
    """Load the models, then analyse and report until told to stop."""
    from xrv_node import models
    from xrv_node.analyse import checks, engine_choice, gate, view
    from xrv_node.analyse.analyser import Analyser
    from xrv_node.constancy import measure
    from xrv_node.db import queue
    from xrv_node.jobs import analyse, report, shadow, worker
    from xrv_node.radiograph import decoder_check
    from xrv_node.radiograph.prepare import RESAMPLER

    store, spool = _state(settings)
    with hold_role(settings.data_dir, "worker") as owner:
        queue.recover(store, owner)
        for syntax in decoder_check.wrong():
            log.error("images are not decoded", why=str(decoder_check.fault(syntax)))
        of_phantoms = models.phantom_set(settings.models.device)
        phantoms, analyser = Analyser(of_phantoms), None
        directory, identity = settings.models_dir, of_phantoms.identity
        if not commissioning:
            networks = models.load_set(
                *settings.models.names,
                directory,
                device=settings.models.device,
                thresholds=settings.models.thresholds,
            )
            identity = networks.identity
            engines = engine_choice.chosen(directory, networks)
            limits = gate.load(directory, identity, RESAMPLER)
            doubts = checks.configured(settings.models, directory, networks.device)
            analyser = Analyser(networks, engines, limits, doubts)
        views = view.reader(settings.models.view, directory, of_phantoms.device)
        with store.begin() as db:
            changes.models_loaded(db, identity, owner=owner)
            changes.runs_on(db, machine.facts(of_phantoms.device), owner=owner)
        log.info(
            "models loaded",
            device=of_phantoms.device,
            models=[m.name for m in identity.models],
            engines={} if analyser is None else analyser.engines,
            gate="fitted" if analyser is not None and analyser.fitted else "flags only",
            views="pixels" if views else "header",
            mismatch=sorted(settings.models.limits),
        )

        def analysed(claims: Sequence[queue.Claim]) -> None:
            unknown, priorities = settings.frontal.unknown, settings.priority
            analyse.run(store, spool, analyser, claims, views, unknown, phantoms, priorities)
            if analyser is not None:
                measure.run(store, spool, analyser, claims)

        handlers = [
            # Reports first: they are what somebody waits for, and take a fraction of a second.
            worker.Handler(
                "report",
                lambda c: report.run(settings, store, spool, identity, c, of_phantoms.identity),
            ),
            worker.Handler(
                "analyse",
                analysed,
                limit=16 if of_phantoms.device.startswith("cuda") else 1,  # a CPU gains nothing from batches
            ),
        ]
        second = None
        if settings.models.shadow.classifier and not commissioning:
            name = settings.models.shadow.classifier
            second = shadow.start(name, directory, of_phantoms.device, store, spool)
        worker.work(store, handlers, owner=owner, stop=stop, idle=second.step if second else lambda: None)
    store.close()


def run_courier(settings: Settings, stop: threading.Event) -> None:
    """Deliver results, fetch studies, send the trail on and mind the clock until told to stop."""
    from xrv_node.alerts import telling
    from xrv_node.audit import forwarder as forward
    from xrv_node.db import queue
    from xrv_node.fetch import run as fetching
    from xrv_node.jobs import outbox, schedule

    store, spool = _state(settings)
    with (
        hold_role(settings.data_dir, "courier") as owner,
        telling.running(settings, store, spool, stop),
        fetching.running(
            settings, store, spool, owner=owner, stop=stop, views_from_pixels=views_from_pixels(settings)
        ),
    ):
        queue.recover(store, owner)
        scheduler = schedule.start(settings, store, spool, stop)
        if settings.audit.host:
            forwarder = forward.Forwarder(settings, store, stop)
            scheduler.add_job(forwarder.run, "interval", seconds=forward.EVERY_SECONDS)
        patient = os.environ.get(SUPERVISED, FIRST) != FIRST
        outbox.run(settings, store, spool, owner=owner, stop=stop, patient=patient)
        stop.wait()
        scheduler.shutdown()
    store.close()


def run_web(settings: Settings, stop: threading.Event) -> None:
    """Answer over HTTP until told to stop."""
    from xrv_node.web import server as web
    from xrv_node.web.node import WebNode

    store, spool = _state(settings)
    with hold_role(settings.data_dir, "web") as owner:
        spool = replace(spool, desk=owner.rpartition("/")[2])
        spool.clear_drafts()
        node = WebNode(settings, store, spool, views_from_pixels(settings))
        with web.start(node) as server:
            log.info("listening", host=settings.web.host, port=server.server_port)
            stop.wait()
        with suppress(Exception):  # the database is away: the rest of a minute's counts is lost
            node.repeats.flush()
    store.close()


def run_role(role: Role, settings: Settings, *, commissioning: bool) -> None:
    """Run one role in this process until SIGTERM or SIGINT, or until its supervisor is gone."""
    replaced = threading.Event() if role == "receiver" else None
    stop = stopping.on_signal(replaced)
    if os.environ.get(SUPERVISED) == AGAIN:
        changes.restarted(_state(settings)[0], role)
    if os.environ.get(SUPERVISED):
        threading.Thread(target=_until_orphaned, args=(stop,), daemon=True).start()
    if replaced is not None:
        run_receiver(settings, stop, replaced)
    elif role == "worker":
        run_worker(settings, stop, commissioning=commissioning)
    elif role == "courier":
        run_courier(settings, stop)
    else:
        run_web(settings, stop)


def _until_orphaned(stop: threading.Event) -> None:
    while os.read(0, 1):  # not sys.stdin: its buffer's lock is still wanted when the interpreter ends
        pass
    stop.set()


def _state(settings: Settings) -> tuple[Store, Spool]:
    store = Store(settings.database_url)
    store.require_current()
    return store, Spool(settings.data_dir)


def serve(
    settings: Settings,
    config: Path | None,
    *,
    commissioning: bool,
    announce: Callable[[str], None],
) -> int:
    """Run the node until SIGTERM or SIGINT; SIGHUP has it read its configuration anew.

    Parameters
    ----------
    config
        The configuration file, for the children.
    announce
        Gets one line when the node is ready to receive.

    Returns
    -------
    int
        Exit code: 0 when everything in hand was finished, 1 when something was not in time, 2 when a process
        found its configuration wrong and has said how.

    Raises
    ------
    ConfigError, WeightsError
        From :func:`check`, or when another ``serve`` has the data directory.
    """
    from xrv_node.receive.server import require_free

    reload = threading.Event()
    stop = stopping.on_signal(reload)
    check(settings, commissioning=commissioning)
    with ExitStack() as stack:
        try:
            stack.enter_context(lock(settings.data_dir / "run" / "serve.lock"))
        except BlockingIOError:
            raise ConfigError(
                f"node.data_dir: another `xrv-node serve` uses {settings.data_dir}; stop it or choose another"
            ) from None
        if settings.receive.port:
            require_free(settings.receive)
        store = Store(settings.database_url)
        store.migrate()
        with store.begin() as db:
            changes.started(db, settings, commissioning=commissioning, by=command_user.operator())

        def renew(before: Settings) -> Settings:
            return renewed(config, before, commissioning=commissioning)

        def taken(new: Settings, roles: Sequence[str]) -> None:
            configure(new.log, "serve")
            with store.begin() as db:
                changes.reloaded(db, new, roles)

        supervisor = Supervisor(config, settings, commissioning, announce, renew, taken)
        code = 0
        try:
            code = supervisor.run(stop, reload)
        finally:
            clean = supervisor.stop()
            with store.begin() as db:
                trail.record(db, "node.stopped", clean=clean)
            store.close()
        return code or (0 if clean else 1)
