"""Which of a study's objects are listed: the first of a UID, and of results those that a reader should
see."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from xrv_node.db.tables import Instance, ResultRow
from xrv_node.result_kinds import variant
from xrv_node.settings import Settings
from xrv_node.values import Style


@dataclass(frozen=True, slots=True)
class Chosen:
    """By what results are chosen."""

    style: Style

    @classmethod
    def by(cls, settings: Settings) -> Chosen:
        """As a node's configuration has it."""
        return cls(settings.web_taker.style)

    @property
    def key(self) -> str:
        """What the index keeps of it, to see that it has changed."""
        return json.dumps(asdict(self.style), sort_keys=True)

    def current(self, rows: Sequence[ResultRow]) -> set[int]:
        """Return the ids of the results that no newer one has superseded; of a kind that comes in several
        variants those in the web's style, or, where it has none of them, in the one that was made last."""
        found = set()
        for kind in {row.kind for row in rows}:
            of_kind = [row for row in rows if row.kind == kind]
            wanted = self._variant(kind, of_kind)
            same = [row for row in of_kind if row.variant == wanted]
            newest = max(row.revision for row in same)
            found |= {row.id for row in same if row.revision == newest}
        return found

    def _variant(self, kind: str, rows: Sequence[ResultRow]) -> str:
        own = variant(kind, self.style)
        if any(row.variant == own for row in rows):
            return own
        return max(rows, key=lambda row: (row.revision, row.id)).variant


def received(audit: Session, study: int) -> list[Instance]:
    """Return a study's received objects, in the order in which they came; of several under one SOP Instance
    UID, whatever their studies, the first."""
    earlier = aliased(Instance)
    before = select(earlier.id).where(
        earlier.sop_instance_uid == Instance.sop_instance_uid, earlier.id < Instance.id
    )
    rows = select(Instance).where(Instance.study_id == study, ~before.exists()).order_by(Instance.id)
    return list(audit.scalars(rows))


def made(audit: Session, study: int) -> list[ResultRow]:
    """Return all results that a study has had, the oldest first."""
    return list(audit.scalars(select(ResultRow).where(ResultRow.study_id == study).order_by(ResultRow.id)))


def uids(rows: Iterable[Instance | ResultRow]) -> set[str]:
    """Return the SOP Instance UIDs of rows."""
    return {row.sop_instance_uid for row in rows}
