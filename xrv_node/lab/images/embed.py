"""Feature vectors of a user's own images."""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from xrv_node.errors import ConfigError
from xrv_node.lab.images.batches import How, Options, Provenance, through
from xrv_node.lab.images.drawing import write_bytes
from xrv_node.lab.images.files import Opened, Paths, Unread

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

WEIGHTS = "101-elastic"
_Form = Callable[[list[str], "NDArray[np.float32]", Provenance], bytes]


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """The feature vector of one image."""

    path: Path
    features: NDArray[np.float32]
    """``[d]``."""
    note: str
    by: Provenance


def embed(
    paths: Paths,
    weights: str = WEIGHTS,
    **options: Unpack[Options],
) -> Iterator[Embedded | Unread]:
    """Turn images into vectors: the last feature map, or an autoencoder's latent, averaged over space.

    Parameters, result and errors are those of ``classify.classify``. `weights` names a classifier, an
    autoencoder or a network that reads an attribute; a segmenter has no feature vector.
    """
    how = How(**options)
    model = how.load(weights)
    features: Callable[[Tensor], Tensor] | None = getattr(model, "features", None)
    if features is None:
        raise ConfigError(f"{model.name} has no features: name a classifier or an autoencoder")
    by = how.provenance(model)

    def finish(image: Opened, vector: NDArray[np.float32]) -> Embedded:
        return Embedded(image.source.path, vector, image.note, by)

    return through(paths, model, how, lambda x: (features(x),), finish)


def write(embedded: Sequence[Embedded], out: Path | str) -> None:
    """Write vectors to one file.

    Parameters
    ----------
    embedded
        At least one, all of one model.
    out
        ``.npz``: arrays ``ids`` (paths as they were found), ``features`` float32 ``[len(ids), d]`` and what
        made them, no pickles. ``.parquet``: columns ``id`` and ``features``, the rest as the schema's
        metadata; needs the package pyarrow.

    Raises
    ------
    ConfigError
        Another suffix, or Parquet without pyarrow.
    XrvNodeError
        The file cannot be written.
    """
    out = Path(out)
    form = check(out)
    ids = [str(item.path) for item in embedded]
    write_bytes(out, form(ids, np.stack([item.features for item in embedded]), embedded[0].by))


def check(out: Path) -> _Form:
    """Return what makes a file of that name, before anything is computed; raises as `write`."""
    form = _FORMS.get(out.suffix.lower())
    if form is None:
        raise ConfigError(f"{out}: the name must end in one of {', '.join(_FORMS)}")
    if form is _parquet:
        _pyarrow("pyarrow")
    return form


def _npz(ids: list[str], features: NDArray[np.float32], by: Provenance) -> bytes:
    buffer = io.BytesIO()
    np.savez(
        buffer,
        ids=np.array(ids),
        features=features,
        model=np.array(by.model.name),
        sha256=np.array(by.model.sha256),
        resampler=np.array(by.resampler),
        notice=np.array(by.notice),
    )
    return buffer.getvalue()


def _parquet(ids: list[str], features: NDArray[np.float32], by: Provenance) -> bytes:
    arrow, parquet = _pyarrow("pyarrow"), _pyarrow("pyarrow.parquet")
    vectors = arrow.FixedSizeListArray.from_arrays(arrow.array(features.ravel()), features.shape[1])
    made_by = {
        "model": by.model.name,
        "sha256": by.model.sha256,
        "resampler": by.resampler,
        "notice": by.notice,
    }
    table = arrow.table({"id": arrow.array(ids), "features": vectors}).replace_schema_metadata(made_by)
    buffer = io.BytesIO()
    parquet.write_table(table, buffer)
    return buffer.getvalue()


_FORMS: dict[str, _Form] = {".npz": _npz, ".parquet": _parquet}
"""Who makes the bytes, by the file's suffix."""


def _pyarrow(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(
            "Parquet needs the package pyarrow, which is not installed: install it, or write .npz"
        ) from error
