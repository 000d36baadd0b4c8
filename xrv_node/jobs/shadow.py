"""The shadow: a second classifier that sees what the first has analysed, while the worker has nothing to do.

Its answers go nowhere; `xrv-node monitor shadow` compares them. It is no job: nothing waits for it, and what
goes wrong with it is its own. An image is on record before it is tried and is not tried again, so that one
that ends the process ends it once.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import Select, func, select, update
from sqlalchemy.exc import IntegrityError

from xrv_node import intact, reasons
from xrv_node.db.store import Store
from xrv_node.db.tables import AnalysisRow, Instance, InstanceState, ShadowRow
from xrv_node.errors import ImageError, XrvNodeError
from xrv_node.jobs.worker import ProcessSpoiledError, on_device
from xrv_node.models import catalog, get_model, inference
from xrv_node.models.model import Classifier
from xrv_node.radiograph.prepare import prepare
from xrv_node.radiograph.read import read
from xrv_node.reasons import Reason
from xrv_node.spool import Spool

if TYPE_CHECKING:
    from torch import Tensor

log = structlog.get_logger("shadow")

PAUSE_SECONDS = 60.0
"""After a failure that is no image's: a database that is locked, a disk that is full."""
GIVE_UP = 3
"""Images in a row that ended the process; then there is no shadow until it is another classifier."""


class Shadow:
    """A classifier that takes an image at a time.

    Parameters
    ----------
    classifier
        In evaluation mode, on its device.
    """

    def __init__(self, store: Store, spool: Spool, classifier: Classifier) -> None:
        self._store, self._spool, self._classifier = store, spool, classifier
        self._after = 0
        """Number of the analysis up to which nothing is left to do; found anew at each start."""
        self._rest_until = 0.0

    def step(self) -> None:
        """Answer the next image, if there is one. Nothing is raised for what fails but

        Raises
        ------
        ProcessSpoiledError
            The device failed under the classifier, and no further call of this process would succeed.
        """
        if monotonic() < self._rest_until:
            return
        try:
            row = self._taken()
            if row is not None:
                self._answer(row)
        except ProcessSpoiledError:
            raise
        except Exception:
            log.exception("the shadow rests")
            self._rest_until = monotonic() + PAUSE_SECONDS

    def _taken(self) -> int | None:
        """Put the next image on record as begun; returns the row's number."""
        with self._store.read() as db:
            found = db.execute(
                select(AnalysisRow.id, AnalysisRow.instance_id)
                .join(Instance, Instance.id == AnalysisRow.instance_id)
                .where(
                    AnalysisRow.id > self._after,
                    AnalysisRow.phantom.is_(False),
                    AnalysisRow.purged_at.is_(None),
                    Instance.purged_at.is_(None),
                    Instance.state == InstanceState.ANALYSED,
                    ~self._own().where(ShadowRow.instance_id == AnalysisRow.instance_id).exists(),
                )
                .order_by(AnalysisRow.id)
                .limit(1)
            ).first()
            newest = db.scalar(select(func.max(AnalysisRow.id))) or 0
        if found is None:
            self._after = newest
            return None
        row = ShadowRow(
            instance_id=found.instance_id,
            classifier=self._classifier.name,
            weights=self._classifier.sha256,
            created_at=datetime.now(UTC),
        )
        taken: int | None = None
        try:
            with self._store.begin() as db:
                db.add(row)
                db.flush()
                taken = row.id
        except IntegrityError:
            log.debug("another worker was first", instance=found.instance_id)
        self._after = found.id
        return taken

    def _own(self) -> Select[int]:
        return select(ShadowRow.id).where(
            ShadowRow.classifier == self._classifier.name, ShadowRow.weights == self._classifier.sha256
        )

    def _answer(self, row: int) -> None:
        with self._store.read() as db:
            image = db.get_one(Instance, db.get_one(ShadowRow, row).instance_id)
        said: dict[str, object] = {}
        try:
            with on_device():
                said["scores"] = self._scores(image)
        except (ImageError, OSError) as error:
            said["error"] = reasons.of(error)
        except RuntimeError as error:
            said["error"] = Reason("unexpected-error", error=type(error).__name__)
        with self._store.begin() as db:
            db.execute(update(ShadowRow).where(ShadowRow.id == row).values(**said))
        log.debug("shadowed", instance=image.sop_instance_uid, error=str(said.get("error", "")))

    def _scores(self, image: Instance) -> dict[str, float]:
        path = self._spool.absolute(image.path)
        if not intact.is_input(path, image.sha256, image.transfer_syntax_uid):
            raise ImageError(Reason("input-changed", file=image.path))
        size = self._classifier.size

        def forward(inputs: dict[int, Tensor]) -> tuple[Tensor, ...]:
            return (self._classifier(inputs[size]),)

        pixels = prepare(read(path), size)[None, None]
        (scores,), finite = inference.in_halves(forward, {size: pixels}, self._classifier.device)
        if not finite[0]:
            raise ImageError(inference.OVERFLOW)
        return {
            label: round(float(score), 6)
            for label, score in zip(self._classifier.pathologies, scores[0], strict=True)
        }

    def gives_up(self) -> bool:
        """Whether the last images that were tried all ended the process."""
        newest = (
            select(ShadowRow.scores, ShadowRow.error)
            .where(ShadowRow.id.in_(self._own()))
            .order_by(ShadowRow.id.desc())
            .limit(GIVE_UP)
        )
        with self._store.read() as db:
            last = db.execute(newest).all()
        return len(last) == GIVE_UP and all(scores is None and error is None for scores, error in last)


def start(name: str, directory: Path, device: str, store: Store, spool: Spool) -> Shadow | None:
    """Load the shadow; None, with a line in the log, where it cannot be: the node works without it.

    Parameters
    ----------
    name
        Of the catalogue.
    directory, device
        As for ``models.get_model``.
    """
    try:
        network = get_model(catalog.served(name, "classifier", directory).name, directory, device)
        if not isinstance(network, Classifier):
            raise TypeError(network.entry.role)
        shadow = Shadow(store, spool, network)
        if shadow.gives_up():
            log.error("no shadow: it ended the process three times in a row", classifier=name)
            return None
    except XrvNodeError as error:
        log.error("no shadow", classifier=name, why=str(error))
        return None
    except Exception:
        log.exception("no shadow", classifier=name)
        return None
    log.info("shadow", classifier=name)
    return shadow
