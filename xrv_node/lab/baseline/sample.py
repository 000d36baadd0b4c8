"""What is compared: images as the models saw them, and what their headers say. No patient data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrv_node import durable
from xrv_node.errors import XrvNodeError

MOST = 5000
"""Images of a sample: enough for every figure, and 20 s to read."""

HEADER_FIELDS = (
    "Modality",
    "Manufacturer",
    "ManufacturerModelName",
    "StationName",
    "ViewPosition",
    "PhotometricInterpretation",
    "BitsStored",
    "KVP",
    "Exposure",
    "Rows",
    "Columns",
    "PatientSex",
    "PatientAge",
)
"""Keywords that a sample keeps of each image: who and what made it, and the two facts of the patient that the
models are known to depend on."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Images of one time or one dataset, one of each patient."""

    what: str
    """E.g. ``nih, validated 2026-03-01`` or ``received 2026-03-01 to 2026-03-08``."""
    model_set: str
    """Digest of the networks: scores of others are no comparison."""
    scores: Mapping[str, NDArray[np.float32]]
    """By finding, ``[n]``, in [0, 1], NaN without an answer."""
    reconstruction_error: NDArray[np.float32]
    """``[n]``, on the scale [-1024, 1024]."""
    embedding: NDArray[np.float32]
    """``[n, 512]``, the autoencoder's latent averaged over space."""
    numbers: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """Header fields that are quantities, ``[n]``, NaN where absent."""
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Header fields that are words, n of them, empty where absent."""

    def __len__(self) -> int:
        """Return how many images it is of."""
        return len(self.reconstruction_error)


def save(sample: Sample, path: Path) -> None:
    """Write a sample, ``.npz``, durably; a file that stands there is replaced."""
    words = {
        "what": sample.what,
        "model_set": sample.model_set,
        "findings": list(sample.scores),
        "numbers": list(sample.numbers),
        "words": {name: list(values) for name, values in sample.words.items()},
    }
    file = BytesIO()
    np.savez_compressed(
        file,
        allow_pickle=False,
        words=np.frombuffer(json.dumps(words, ensure_ascii=False).encode(), np.uint8),
        scores=_stacked(sample.scores, len(sample)),
        numbers=_stacked(sample.numbers, len(sample)),
        reconstruction_error=sample.reconstruction_error,
        embedding=sample.embedding,
    )
    durable.write(path, [file.getvalue()])


def load(path: Path) -> Sample:
    """Read what `save` wrote.

    Raises
    ------
    XrvNodeError
        The file is missing, damaged, or not a baseline.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            words: dict[str, Any] = json.loads(file["words"].tobytes())
            scores, numbers = file["scores"], file["numbers"]
            return Sample(
                what=words["what"],
                model_set=words["model_set"],
                scores=dict(zip(words["findings"], scores.T, strict=True)),
                reconstruction_error=file["reconstruction_error"],
                embedding=file["embedding"],
                numbers=dict(zip(words["numbers"], numbers.T, strict=True)),
                words={name: tuple(values) for name, values in words["words"].items()},
            )
    except FileNotFoundError as error:
        raise XrvNodeError(
            f"{path} does not exist: a validation run writes a baseline.npz, and so does "
            "`xrv-node monitor baseline`"
        ) from error
    except Exception as error:  # zipfile, zlib, numpy and json each have their own ways to say it
        raise XrvNodeError(
            f"{path} is damaged or not a baseline: give the baseline.npz that a validation run wrote"
        ) from error


def _stacked(columns: Mapping[str, NDArray[np.float32]], n: int) -> NDArray[np.float32]:
    return np.stack(list(columns.values()), axis=1) if columns else np.empty((n, 0), np.float32)
