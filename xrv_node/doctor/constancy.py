"""Whether the node answered its phantom as it did before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from xrv_node.constancy import record
from xrv_node.doctor.diagnosis import Examined, Found, State

LATE = timedelta(hours=26)
"""A test a day, of which one in autumn has 25 hours, and an hour for it to be over."""

_REMEDY = "find the cause; a change that was meant is accepted by `xrv-node acceptance --baseline`"


def constancy(node: Examined) -> Found:
    """The outcome of the newest test, and whether it is of today."""
    if node.settings.constancy.time is None:
        yield State.OK, "no phantom is sent ([constancy] at)", ""
        return
    if not node.has_record:
        return
    with node.store.read() as db:
        event = record.newest(db, record.CHECKED)
    if event is None:
        yield State.WARN, "no phantom has been sent yet", "start the node; a test comes soon after"
        return
    for why in record.amiss(event):
        yield State.FAIL, str(why), _REMEDY
    age = datetime.now(UTC) - datetime.fromisoformat(event["at"])
    if age > LATE:
        says = f"the newest test is {age.total_seconds() / 3600:.0f} hours old"
        yield State.FAIL, says, "see that the courier runs"
    elif event["detail"]["good"]:
        yield State.OK, f"the phantom was answered as before at {event['at'][:16]} UTC", ""
