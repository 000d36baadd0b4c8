"""All that happened to one study, as a person reads it: who sent what, what was done with it and by which
models, what was sent where, and what people changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy.orm import Session

from xrv_node import reasons
from xrv_node.db.queries import Row, events, require_events
from xrv_node.db.rows import EventRow, TimelineRow
from xrv_node.documents import joined
from xrv_node.values import PHANTOM_WORDS

AROUND = ("configuration.changed", "models.changed")
"""Events of the whole node that a study's own are understood by."""


def timeline(db: Session, study: str) -> list[TimelineRow]:
    """The events of a study in order, among them changes of what the node ran with.

    Returns
    -------
    list of TimelineRow

    Raises
    ------
    XrvNodeError
        When the trail has nothing of the study.
    """
    require_events(db, study)
    own = list(events(db, study=study))
    first, last = own[0]["id"], own[-1]["id"]
    around: list[EventRow] = []
    for name in AROUND:
        every = [e for e in events(db, event=name) if e["id"] < last]
        around += [e for e in every if e["id"] < first][-1:] + [e for e in every if e["id"] > first]
    return [_entry(event) for event in sorted(own + around, key=lambda e: int(e["id"]))]


def _entry(event: EventRow) -> TimelineRow:
    detail = reasons.revived(event["detail"])
    says = _SAYS.get(event["event"], _plainly)
    return {
        "at": event["at"],
        "event": event["event"],
        "says": says if isinstance(says, str) else says(detail),
        "instance": event["instance"],
        "by": detail.get("by"),
        "detail": detail,
    }


def _plainly(detail: Row) -> str:
    """What an event without a sentence of its own holds."""
    return ", ".join(f"{key} {_listed(value)}" for key, value in detail.items() if key != "by")


def _received(how: str) -> Callable[[Row], str]:
    def sentence(detail: Row) -> str:
        verdict = f"; {detail['verdict']}: {_listed(detail.get('reasons'))}" if "verdict" in detail else ""
        return f"{how} from {detail.get('calling_ae')}{verdict}"

    return sentence


def _analysed(detail: Row) -> str:
    found = "no findings are reported" if detail.get("refused") else _listed(detail.get("present")) or "none"
    by = f"; {PHANTOM_WORDS}" if detail.get("phantom") else ""
    by = "; untrained networks, not a result" if detail.get("commissioning") else by  # of before
    return f"analysed by {_models(detail)}; at or over the operating point: {found}{by}"


def _models(detail: Row) -> str:
    names = _listed((detail.get("models") or {}).values())
    own = detail.get("site_thresholds")
    points = f", operating points of the site for {_listed(own)}" if own else ""
    return f"{names} (model set {str(detail.get('model_set'))[:12]}{points})"


def _reported(detail: Row) -> str:
    kinds = _listed((detail.get("results") or {}).values()) or "nothing new"
    to = _listed(detail.get("destinations")) or "none"
    silent = f"; kept back from {_listed(detail['silent'])}" if detail.get("silent") else ""
    return f"reported, revision {detail.get('revision')}: {kinds}; destinations: {to}{silent}"


def _exported(detail: Row) -> str:
    how = "de-identified" if detail.get("deidentified") else "with patient data"
    return f"exported {how}: {detail.get('images')} images, {detail.get('results')} results"


def _fetched(detail: Row) -> str:
    failed = f", {detail['failed']} did not come: {detail.get('error')}" if detail.get("failed") else ""
    came = f"{detail.get('fetched')} of {detail.get('objects')} objects came"
    return f"fetched from {detail.get('archive')}: {came}, {detail.get('present')} were here{failed}"


def _sent(how: str) -> Callable[[Row], str]:
    def sentence(detail: Row) -> str:
        more = detail.get("status"), detail.get("remark"), detail.get("why")
        return f"{detail.get('kind')} {how} {detail.get('destination')}" + "".join(
            f"; {m}" for m in more if m
        )

    return sentence


def _job(how: str) -> Callable[[Row], str]:
    def sentence(detail: Row) -> str:
        to = f" to {detail['destination']}" if detail.get("destination") else ""
        why = f": {detail['error']}" if detail.get("error") else ""
        return f"job {detail.get('job')} ({detail.get('kind')}{to}) {how}{why}"

    return sentence


def _listed(values: Any) -> str:
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        return "" if values is None else str(values)
    return joined(map(str, values), ", ")


_SAYS: dict[str, str | Callable[[Row], str]] = {
    "instance.received": _received("received"),
    "instance.duplicate": _received("received again, the same bytes,"),
    "instance.conflict": _received("received with other bytes under the same UID, kept beside the first,"),
    "instance.own_result": _received("one of our own results came back"),
    "instance.view_decided": lambda d: f"seen in the pixels: {d.get('verdict')}, {_listed(d.get('reasons'))}",
    "instance.analysed": _analysed,
    "instance.set_aside": lambda d: f"analysed and not reported: {d.get('why')}",
    "fetch.study": _fetched,
    "study.closed": lambda d: f"complete, revision {d.get('revision')}: {d.get('why')}",
    "study.reopened": "opened again: more of it came",
    "study.reported": _reported,
    "study.reprocessed": lambda d: f"to be analysed again, revision {d.get('revision')}",
    "study.exported": _exported,
    "study.resent": lambda d: f"results to be sent again: {len(d.get('deliveries') or ())}",
    "study.seen": lambda d: "its page was looked at",
    "study.fetched": lambda d: "fetched of over HTTP",
    "studies.searched": lambda d: "searched in over HTTP",
    "priors.unavailable": lambda d: f"earlier studies were not to be had: {d.get('why')}",
    "result.delivered": _sent("sent to"),
    "result.confirmed": _sent("is kept by"),
    "result.not_committed": _sent("is not kept by"),
    "job.postponed": _job("failed and is tried again"),
    "job.parked": _job("waits for a person"),
    "job.retried": _job("was queued again"),
    "job.cancelled": _job("was cancelled"),
    "models.changed": lambda d: f"the node runs {_models(d)}",
    "configuration.changed": lambda d: f"the configuration {str(d.get('digest'))[:12]} is in force",
}
"""A sentence an event; one that is missing here is shown as it is recorded."""
