"""Validation over the wire: images to a running node as DICOM, scores and masks from what comes back.

The scores are read from the readable report (kind ``report``): it has every finding of every image, and
beside the decimal that people read the exact value as Floating Point Value (0040,A161). What segmentations
give is for `returned` to say.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import UID

from xrv_node import frontal
from xrv_node.deliver import scu
from xrv_node.errors import DestinationError, ImageError
from xrv_node.lab.datasets.table import LabelTable
from xrv_node.lab.datasets.to_dicom import converted
from xrv_node.lab.statistics.intervals import delong
from xrv_node.lab.statistics.labelled_scores import LabelledScores
from xrv_node.lab.validate.result_receiver import Listening
from xrv_node.lab.validate.run_store import ImageResult, ReturnedSegmentation, RunStore
from xrv_node.report import read_back
from xrv_node.result_kinds import kind_of
from xrv_node.values import OPERATING_POINT, Verdict

CALLING_AE = "XRVVALIDATE"
"""Who sends, and whom the node's destination names."""
WINDOW = 64
"""Images that are under way at a time, so that a large dataset does not fill the node's disk."""
CHUNK = 8
"""Images that are converted for one association."""
GRACE = 30.0
"""Seconds without an object after the last report, until which segmentations may follow. A busy node needs
some."""
AGREES = 1e-4
"""Difference of scores up to which two ways are the same one: float32 through the same weights on another
engine or in another batch differs by less."""
NO_SCORES = "The node's report has no scores of the image from 0 to 1, or those of another network."

Compare = Callable[[Dataset, int], ReturnedSegmentation]
"""What a segmentation of a row gives."""

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_OID, "validation runs of xrv-node")


@dataclass(frozen=True, slots=True)
class Way:
    """How to the node and back."""

    peer: scu.Peer
    wait: float = 300.0
    """Seconds without any object from the node after which what is under way is given up."""
    receive_host: str = "127.0.0.1"
    receive_port: int = 11113
    """Where the node sends its results."""

    @property
    def node(self) -> str:
        """Whom the images go to, as a person would name it."""
        return f"{self.peer.ae_title}@{self.peer.host}:{self.peer.port}"


@dataclass(frozen=True, slots=True)
class Difference:
    """What came back beside the direct path, over the images that both have scores of."""

    node: str
    sent: int
    answered: int
    """Images with scores in a report."""
    segmented: int
    """Images with a segmentation."""
    left_out: Mapping[str, int]
    """Images without scores, by the sentence that says why."""
    greatest: float | None
    """Greatest absolute difference of a score; None where nothing came back."""
    greatest_auc: float | None
    """Greatest absolute difference of a finding's area under the ROC curve; None where none has one."""
    other_calls: int
    """Scores that lie on the other side of the operating point."""

    @property
    def words(self) -> str:
        """Whether that is what was to be expected, a sentence."""
        if not self.answered:
            return "Nothing came back from the node."
        if self.greatest is None:
            return "No scores are compared: the network scores none of the dataset's labels."
        if self.greatest <= AGREES:
            return f"The node's scores are those of the direct path: none differs by more than {AGREES:g}."
        return (
            "The node's scores are not those of the direct path: look whether it runs the same networks and "
            "operating points, and with which engine."
        )


def counted(_segmentation: Dataset, row: int) -> ReturnedSegmentation:
    """Say of a segmentation only that it came."""
    return ReturnedSegmentation(row)


def run(
    table: LabelTable,
    rows: NDArray[np.int64],
    labels: Sequence[str],
    store: RunStore,
    way: Way,
    back: Listening,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
    compare: Compare = counted,
) -> None:
    """Send images and keep what comes back; what came back before is not sent again.

    Parameters
    ----------
    table, rows
        The dataset, and the rows of it to send.
    labels
        Whose scores are kept, in this order.
    store
        Of this way, beside that of the direct one.
    way, back
        To the node, and what listens for its results.
    progress
        Told whenever an image has its answer or is given up.
    compare
        Given each segmentation of an image with its row; left out, they are only counted.

    Raises
    ------
    DestinationError
        The node cannot be reached, or sends nothing that scores can be read from.
    """
    waiting = list(rows[~np.isin(rows, store.done())])
    total, done = len(rows), len(rows) - len(waiting)
    by_uid = {_uid(store.salt, "instance", row): int(row) for row in rows}
    under_way: dict[int, str] = {}
    progress(done, total)
    with tempfile.TemporaryDirectory(prefix="xrv-node-") as folder:
        while waiting or under_way:
            # what came is looked at first: the node waits meanwhile, and not for ever
            if waiting and len(under_way) < WINDOW and back.objects.empty():
                chunk, waiting = waiting[:CHUNK], waiting[CHUNK:]
                for row, why_not, remark in _sent(table, chunk, store.salt, way.peer, Path(folder)):
                    if why_not:
                        store.add([ImageResult(row, why_not)])
                        done += 1
                    else:
                        under_way[row] = remark
                progress(done, total)
                continue
            try:
                dataset = back.objects.get(timeout=way.wait)
            except Empty:
                store.add([ImageResult(row, _silence(way.wait, why)) for row, why in under_way.items()])
                done += len(under_way)
                under_way.clear()
            else:
                for row in _keep(dataset, by_uid, labels, store, compare):
                    done += under_way.pop(row, None) is not None
            progress(done, total)
    try:
        while store.without_segmentation():  # they follow the last report
            _keep(back.objects.get(timeout=GRACE), by_uid, labels, store, compare)
    except Empty:
        return


def difference(
    direct: LabelledScores,
    back: LabelledScores,
    *,
    node: str,
    sent: int,
    segmented: int,
    left_out: Mapping[str, int],
) -> Difference:
    """Compare the scores of the same images in the same order, with the same findings.

    Parameters
    ----------
    direct, back
        The two ways.
    node, sent, segmented, left_out
        As in `Difference`.
    """
    apart = np.abs(direct.scores.astype(np.float64) - back.scores)
    areas = []
    for finding in range(len(direct.pathologies)):
        known = ~np.isnan(direct.labels[:, finding])
        positive = direct.labels[known, finding] > 0
        both = [delong(way.scores[known, finding], positive).value for way in (direct, back)]
        if both[0] is not None and both[1] is not None:
            areas.append(abs(both[0] - both[1]))
    return Difference(
        node=node,
        sent=sent,
        answered=len(back),
        segmented=segmented,
        left_out=left_out,
        greatest=float(apart.max()) if apart.size else None,
        greatest_auc=max(areas, default=None),
        other_calls=int(((direct.scores >= OPERATING_POINT) != (back.scores >= OPERATING_POINT)).sum()),
    )


def _uid(salt: str, level: str, row: int) -> str:
    """A UID of this run alone (PS3.5 B.2): a node does not analyse an image that it has had before."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, f'{salt} {level} {row}').int}"


def _sent(
    table: LabelTable, rows: Sequence[int], salt: str, peer: scu.Peer, folder: Path
) -> Iterator[tuple[int, str, str]]:
    """Convert and send images; row, why it was not sent, and what its header says against an analysis."""
    files: dict[Path, tuple[int, str]] = {}
    for row in map(int, rows):
        try:
            dataset = converted(table, row)
        except ImageError as error:
            yield row, str(error), ""
            continue
        dataset.SOPInstanceUID, dataset.SeriesInstanceUID, dataset.StudyInstanceUID = (
            UID(_uid(salt, level, row)) for level in ("instance", "series", "study")
        )
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        decision = frontal.decide(dataset)
        path = folder / f"{row}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        files[path] = row, "" if decision.verdict is Verdict.FRONTAL else str(decision.reasons[0])
    for sent in scu.send(peer, list(files), calling_ae=CALLING_AE) if files else ():
        row, remark = files[sent.path]
        yield row, "" if sent.good else f"The node did not take the image ({sent.says}).", remark
        sent.path.unlink()


def _silence(seconds: float, remark: str) -> str:
    return remark or f"The node sent no report of the image within {seconds:g} s."


def _keep(
    dataset: Dataset,
    by_uid: Mapping[str, int],
    labels: Sequence[str],
    store: RunStore,
    compare: Compare,
) -> list[int]:
    """Keep what an object says; returns the rows that a report answers."""
    kind = _kind(dataset)
    if kind == "seg":
        store.add_returned(compare(dataset, by_uid[uid]) for uid in _sources(dataset) if uid in by_uid)
    if kind != "report":
        return []
    try:
        found = {
            by_uid[uid]: {finding.label: finding.score for finding in findings}
            for uid, findings in read_back.findings(dataset).items()
            if uid in by_uid
        }
    except (AttributeError, KeyError, IndexError, ValueError) as error:
        raise DestinationError(
            f"the node sent a report that cannot be read ({type(error).__name__}): is it of another version?"
        ) from error
    store.add(_result(row, scores, labels) for row, scores in found.items())
    return list(found)


def _result(row: int, scores: Mapping[str, float], labels: Sequence[str]) -> ImageResult:
    values = np.array([scores.get(label, np.nan) for label in labels], np.float32)
    whole = ((values >= 0) & (values <= 1)).all()
    return ImageResult(row, scores=values) if whole else ImageResult(row, NO_SCORES)


def _kind(dataset: Dataset) -> str | None:
    try:
        return kind_of(dataset)
    except Exception:  # pydicom decodes a value when it is asked for, and raises anything of a damaged one
        return None


def _sources(segmentation: Dataset) -> set[str]:
    """SOP Instance UIDs of the images that it is of; none where it is too damaged to tell."""
    try:
        return {
            str(instance.ReferencedSOPInstanceUID)
            for series in segmentation.get("ReferencedSeriesSequence", [])
            for instance in series.ReferencedInstanceSequence
        }
    except Exception:  # as in `_kind`
        return set()
