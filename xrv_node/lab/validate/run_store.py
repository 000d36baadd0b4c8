"""What a run has found so far, on disk: an SQLite file, so that a run that is killed goes on where it was.

A batch is one transaction. After a kill or a power cut it is there as a whole or not at all, where a text
file would end in half a line; and memory does not grow with what is in it.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrv_node.errors import XrvNodeError
from xrv_node.lab.baseline.header_fields import Facts
from xrv_node.lab.statistics.overlap import Overlap, Pointing
from xrv_node.lab.validate.structures import Agreement

_TABLES = """
CREATE TABLE IF NOT EXISTS run (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS image (row INTEGER PRIMARY KEY, why_not TEXT NOT NULL, scores BLOB, sigmoids BLOB,
    reconstruction_error REAL, unusual INTEGER, embedding BLOB, header TEXT, marked TEXT NOT NULL,
    structures TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS returned (row INTEGER PRIMARY KEY, why_not TEXT NOT NULL,
    label_map INTEGER NOT NULL, structures TEXT NOT NULL, overlaps TEXT NOT NULL);
"""
_SALT = "salt"


@dataclass(frozen=True, slots=True)
class Marked:
    """A finding's heat map beside the region that an annotator marked on an image."""

    finding: str
    pointing: Pointing | None
    """None where nothing of the region is in the square that the network sees."""
    share: float
    """Of that square, which the region covers: what a blind guess hits."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageResult:
    """What came of one row of the dataset's table."""

    row: int
    why_not: str = ""
    """Why there are no scores, a sentence; else empty."""
    scores: NDArray[np.float32] | None = None
    """``[labels]``, normalised to the operating point, in [0, 1], in the order of the run's labels."""
    sigmoids: NDArray[np.float32] | None = None
    """``[labels]``, before they are normalised; None where only scores came back."""
    reconstruction_error: float | None = None
    """Mean absolute difference on the [-1024, 1024] scale; None without an autoencoder."""
    unusual: bool | None = None
    """Whether the gate found the image unlike those that it was fitted on; None without a gate."""
    embedding: NDArray[np.float32] | None = None
    """``[512]``, of the images that the baseline is made of."""
    header: Facts | None = None
    """Header fields, likewise; None of a picture."""
    marked: tuple[Marked, ...] = ()
    structures: tuple[Agreement, ...] = ()
    """The segmenter's masks beside the dataset's."""


@dataclass(frozen=True, slots=True)
class ReturnedSegmentation:
    """A segmentation that came back from a node, of one row."""

    row: int
    why_not: str = ""
    """Why it was not compared, a sentence; else empty."""
    label_map: bool = False
    """Whether it keeps but one of structures that overlap."""
    structures: tuple[Agreement, ...] = ()
    """Its masks beside the dataset's."""
    overlaps: tuple[Overlap, ...] = ()
    """Its masks beside those of the direct path."""


class RunStore:
    """The results of one run.

    Parameters
    ----------
    path
        The file; made with its folder when it is not there.
    identity
        What the run is of, texts by name: dataset, networks, how images are prepared. Results of another run
        are never mixed with it.

    Raises
    ------
    XrvNodeError
        The file is of another run, in use, damaged, or cannot be written; so do all methods.
    """

    def __init__(self, path: Path, identity: Mapping[str, str]) -> None:
        self._path = path
        with self._told():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=1)
            # two runs into one folder would take turns at the same rows
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.executescript(_TABLES)
            self._db.execute("BEGIN IMMEDIATE")
            # what could not be read may have been put right since
            self._db.execute("DELETE FROM image WHERE why_not <> ''")
            before = dict(self._db.execute("SELECT key, value FROM run"))
            self.salt: str = before.pop(_SALT, "") or secrets.token_hex(16)
            """Random, made with the file: tells this run from any other."""
            if self._db.execute("SELECT 1 FROM image LIMIT 1").fetchone():
                self._refuse_another(before, identity)
            self._db.execute("DELETE FROM run")
            self._db.executemany("INSERT INTO run VALUES (?, ?)", [*identity.items(), (_SALT, self.salt)])
            self._db.commit()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say the file's trouble in a sentence, whenever it comes: a disk fills while images are scored."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise XrvNodeError(
                f"{self._path} cannot be used ({error}): another validation may be writing it, or the disk "
                "is full; end that, make room, or name another --out"
            ) from error
        except sqlite3.DatabaseError as error:
            raise XrvNodeError(
                f"{self._path} is damaged: remove it, and all images are scored anew"
            ) from error
        except OSError as error:
            raise XrvNodeError(
                f"{self._path} cannot be written ({error.strerror}): name another --out"
            ) from error

    def _rows(self, query: str) -> Iterator[tuple[Any, ...]]:
        with self._told():
            yield from self._db.execute(query)

    def _refuse_another(self, before: Mapping[str, str], identity: Mapping[str, str]) -> None:
        other = [key for key in {**before, **identity} if before.get(key) != identity.get(key)]
        if other:
            self._db.close()
            raise XrvNodeError(
                f"{self._path.parent} holds a validation with another {' and '.join(other)}: name another "
                "--out, or remove that folder"
            )

    def done(self, *, answered: bool = False) -> NDArray[np.int64]:
        """Return the rows that have results, in order; if ``answered``, those with scores."""
        found = self._rows("SELECT row, scores IS NOT NULL FROM image ORDER BY row")
        return np.array([row for row, scored in found if scored or not answered], dtype=np.int64)

    def add_returned(self, results: Iterable[ReturnedSegmentation]) -> None:
        """Keep what segmentations gave; a second one of a row counts where the first was not compared."""
        with self._told(), self._db:
            self._db.executemany(
                "INSERT INTO returned VALUES (?, ?, ?, ?, ?) ON CONFLICT (row) DO UPDATE SET "
                "why_not = excluded.why_not, label_map = excluded.label_map, "
                "structures = excluded.structures, overlaps = excluded.overlaps WHERE why_not <> ''",
                [(r.row, r.why_not, r.label_map, _json(r.structures), _json(r.overlaps)) for r in results],
            )

    def without_segmentation(self) -> bool:
        """Whether there is a row with scores of which no segmentation came back."""
        found = self._rows(
            "SELECT 1 FROM image LEFT JOIN returned USING (row) "
            "WHERE scores IS NOT NULL AND returned.row IS NULL LIMIT 1"
        )
        return next(found, None) is not None

    def returned(self) -> Iterator[ReturnedSegmentation]:
        """Yield what segmentations gave in the order of the rows, without keeping it."""
        for found in self._rows("SELECT * FROM returned ORDER BY row"):
            row, why_not, label_map, structures, overlaps = found
            yield ReturnedSegmentation(
                row,
                why_not,
                bool(label_map),
                tuple(Agreement(**one) for one in json.loads(structures)),
                tuple(Overlap(**one) for one in json.loads(overlaps)),
            )

    def add(self, results: Iterable[ImageResult]) -> None:
        """Keep results, all or none of them."""
        with self._told(), self._db:
            self._db.executemany(
                "INSERT OR REPLACE INTO image VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        r.row,
                        r.why_not,
                        _blob(r.scores),
                        _blob(r.sigmoids),
                        r.reconstruction_error,
                        r.unusual,
                        _blob(r.embedding),
                        None if r.header is None else json.dumps(r.header),
                        _json(r.marked),
                        _json(r.structures),
                    )
                    for r in results
                ],
            )

    def results(self) -> Iterator[ImageResult]:
        """Yield every result in the order of the rows, without keeping them."""
        for found in self._rows("SELECT * FROM image ORDER BY row"):
            row, why_not, scores, sigmoids, error, unusual, embedding, header, marked, structures = found
            yield ImageResult(
                row=row,
                why_not=why_not,
                scores=_array(scores),
                sigmoids=_array(sigmoids),
                reconstruction_error=error,
                unusual=None if unusual is None else bool(unusual),
                embedding=_array(embedding),
                header=None if header is None else json.loads(header),
                marked=tuple(
                    Marked(m["finding"], m["pointing"] and Pointing(**m["pointing"]), m["share"])
                    for m in json.loads(marked)
                ),
                structures=tuple(Agreement(**one) for one in json.loads(structures)),
            )

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def _json(measured: Iterable[Marked | Agreement | Overlap]) -> str:
    return json.dumps([asdict(one) for one in measured])


def _blob(values: NDArray[np.float32] | None) -> bytes | None:
    return None if values is None else np.ascontiguousarray(values, "<f4").tobytes()


def _array(blob: bytes | None) -> NDArray[np.float32] | None:
    return None if blob is None else np.frombuffer(blob, "<f4")
