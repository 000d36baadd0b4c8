"""What the node knows: its database, and the spool that the database speaks of."""

from __future__ import annotations

from xrv_node import role_locks
from xrv_node.audit import forwarder, syslog
from xrv_node.db import trail
from xrv_node.doctor.diagnosis import Examined, Found, OfStudies, State
from xrv_node.errors import ConfigError, DestinationError
from xrv_node.retention import orphans
from xrv_node.spool import Spool

LAST_EVENTS = 10_000
"""How much of the trail is checked; ``xrv-node audit verify`` checks all."""

SENT_WITHIN = 600
"""Seconds in which the audit repository should have an event; the courier looks every few seconds."""

SHOWN = 5
"""Paths and studies that are named before "and so many more"."""


def database(node: Examined) -> Found:
    """The schema, the file, and the end of the trail."""
    try:
        if node.store.revision() is None:
            yield State.WARN, "there is none yet", "`xrv-node serve` makes it"
            return
        node.store.require_current()
    except ConfigError as error:
        yield State.FAIL, str(error), "start `xrv-node serve`; if it is damaged, restore a backup"
        return
    complaints = node.store.integrity()
    if complaints:
        yield State.FAIL, f"the file is damaged: {complaints[0]}", "stop the node and restore a backup"
    else:
        yield State.OK, "the schema is this program's, the file is whole", ""
    with node.store.read() as db:
        found = trail.verify(db, last=LAST_EVENTS)
    if isinstance(found, trail.Broken):
        remedy = "keep the file as it is: somebody changed it; restore a backup to compare"
        yield State.FAIL, f"the audit trail is broken: {found.why}", remedy
    else:
        yield State.OK, f"the last {min(found, LAST_EVENTS)} of {found} events of the trail are whole", ""


def repository(node: Examined) -> Found:
    """Whether the audit repository can be reached, and whether it has the trail."""
    audit = node.settings.audit
    if not audit.host:
        yield State.OK, "no audit repository is configured (audit.host); the trail stays here", ""
        return
    if audit.protocol == "udp":
        says = f"{audit.repository} by UDP: nothing tells whether it has the trail"
        yield State.WARN, says, 'take protocol = "tls" in [audit], where the repository can'
        return
    try:
        syslog.send(audit, ())
    except (ConfigError, DestinationError) as error:
        yield State.FAIL, str(error), "the trail waits; nothing of it is lost"
    else:
        yield State.OK, f"{audit.repository} is reached and trusted", ""
    if node.serving and node.has_record:
        with node.store.read() as db:
            lag = forwarder.lag_seconds(db, audit.repository)
        if lag > SENT_WITHIN:
            says = f"an event waits since {lag / 60:.0f} minutes for {audit.repository}"
            yield State.WARN, says, "see the log of the courier; what is new there may still be on its way"


def spool(node: Examined) -> OfStudies:
    """Files without rows and rows without files; `fix` settles the former."""
    if not node.has_record:
        return
    spool = Spool(node.settings.data_dir)
    stopped = not node.serving and not any(role_locks.holders(spool.root, r) for r in role_locks.ROLES)
    with node.store.read() as db:  # of a node that is stopped nothing is on its way, as of a restored spool
        found = orphans.find(db, spool, settled=-1 if stopped else orphans.SETTLED_SECONDS)
    if node.fix:
        orphans.settle(node.store, spool, found)
    wrong = [*_without_a_row(node, spool, found), *_without_a_file(found)]
    yield from wrong or [(State.OK, "every file has its row, every row its file", "")]


def _without_a_row(node: Examined, spool: Spool, found: orphans.Disagreements) -> Found:
    fix = "`xrv-node doctor --fix` "
    if found.inputs:
        place = spool.root / orphans.FOUND
        moved = f"moved to {place}; " if node.fix else f"{fix}moves them to {place}; "
        remedy = f"{moved}bring them in with `xrv-node send {place} --as-sender`"
        yield State.WARN, f"received objects without a row: {_named(found.inputs)}", remedy
    if found.derived:
        remedy = "removed" if node.fix else f"{fix}removes them; they are made again when needed"
        yield State.WARN, f"analyses and results without a row: {_named(found.derived)}", remedy
    if found.purged:
        remedy = "removed" if node.fix else f"{fix}removes them, and the courier once a day"
        yield State.WARN, f"files that were purged and are still there: {_named(found.purged)}", remedy
    if found.young:
        says = f"files without a row that are too young to judge: {found.young}; they may be on their way in"
        yield State.WARN, says, f"look again in {orphans.SETTLED_SECONDS // 60} minutes"


def _without_a_file(found: orphans.Disagreements) -> OfStudies:
    if found.missing:
        of = orphans.studies(found.missing)
        says = f"received objects whose file is gone: {len(found.missing)}, of {_of_studies(of)}"
        remedy = (
            "restore the spool, or have these studies sent again (--json names all); "
            "what nobody has: `xrv-node studies purge UID --inputs`"
        )
        yield State.FAIL, says, remedy, of
    if found.missing_derived:
        of = orphans.studies(found.missing_derived)
        says = f"analyses and results whose file is gone: {len(found.missing_derived)}, of {_of_studies(of)}"
        remedy = (
            "`xrv-node studies reprocess --incomplete` makes them again; "
            "those whose images are gone: `xrv-node studies purge UID --results`"
        )
        yield State.FAIL, says, remedy, of


def _of_studies(uids: tuple[str, ...]) -> str:
    return f"{len(uids)} {'study' if len(uids) == 1 else 'studies'}: {_named(uids)}"


def _named(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
