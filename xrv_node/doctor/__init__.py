"""What is wrong with a node, and what to do about it: one line a finding.

Every check is a generator of findings and stands alone: one that breaks is a finding itself, and the others
go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import structlog

from xrv_node.db.store import Store
from xrv_node.doctor import (
    archives,
    configuration,
    constancy,
    database,
    decoders,
    files,
    index,
    jobs,
    machine,
    networks,
    peers,
    priors,
)
from xrv_node.doctor.diagnosis import Diagnosis, Examined, Found, OfStudies, State
from xrv_node.settings import Settings

log = structlog.get_logger("doctor")

CHECKS: dict[str, Callable[[Examined], Found | OfStudies]] = {
    "configuration": configuration.configuration,
    "disk": machine.disk,
    "ports": peers.ports,
    "database": database.database,
    "audit": database.repository,
    "clock": machine.clock,
    "spool": database.spool,
    "files": files.files,
    "index": index.index,
    "decoders": decoders.decoders,
    "models": networks.models,
    "devices": networks.devices,
    "constancy": constancy.constancy,
    "jobs": jobs.jobs,
    "priors": priors.priors,
    "archives": archives.archives,
    "destinations": peers.destinations,
}
"""What is looked at, in this order."""

_FIRST = "see to what failed above, then run `xrv-node doctor` again"


def examine(
    settings: Settings, *, fix: bool = False, read: Callable[[int, int], None] | None = None
) -> Iterator[Diagnosis]:
    """Look at everything, in the order of :data:`CHECKS`.

    Parameters
    ----------
    fix
        Settle what ``orphans.settle`` settles.
    read
        Have every file of the spool read, and be told how many of how many are.
    """
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        says = f"{settings.data_dir} cannot be made ({error.strerror})"
        yield Diagnosis("disk", State.FAIL, says, "correct node.data_dir, or let this user make it")
        return
    with closing(Store(settings.database_url)) as store:
        node = Examined(settings, store, fix, read)
        for name, look in CHECKS.items():
            try:
                for finding in look(node):
                    yield Diagnosis(name, *finding)
            except Exception as error:
                log.exception("a check broke", check=name)
                yield Diagnosis(name, State.FAIL, f"{type(error).__name__}; the log says where", _FIRST)
