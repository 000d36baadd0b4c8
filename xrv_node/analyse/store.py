"""An analysis on disk, between the worker that made it and the report that needs it."""

from __future__ import annotations

import json
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from xrv_node import durable
from xrv_node.errors import XrvNodeError
from xrv_node.values import Analysis, Finding, Frame, ModelIdentity, ModelSet


def save(analysis: Analysis, path: Path) -> None:
    """Write an analysis, durably and atomically.

    Parameters
    ----------
    analysis
        What to write.
    path
        The file, ``.npz``; a file that stands there is replaced.

    Raises
    ------
    OSError
        If the disk is full or the directory cannot be written; a file that stood there is as it was.
    """
    words = {
        "sop_instance_uid": analysis.sop_instance_uid,
        "model_set": asdict(analysis.model_set),
        "findings": [asdict(finding) for finding in analysis.findings],
        "structures": analysis.structures,
        "frame": asdict(analysis.frame),
        "reconstruction_error": analysis.reconstruction_error,
        "resampler": analysis.resampler,
        "ssim": analysis.ssim,
        "quality": analysis.quality,
        "refused": analysis.refused,
        "masks_shape": analysis.masks.shape,
    }
    file = BytesIO()
    np.savez_compressed(
        file,
        allow_pickle=False,
        words=np.frombuffer(json.dumps(words, allow_nan=False).encode(), np.uint8),
        masks=np.packbits(analysis.masks),
        embedding=analysis.embedding,
    )
    durable.write(path, [file.getvalue()])


def load(path: Path) -> Analysis:
    """Read an analysis that `save` wrote.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    Analysis
        Equal to what was saved, to the last bit.

    Raises
    ------
    XrvNodeError
        If the file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            words, packed, embedding = json.loads(file["words"].tobytes()), file["masks"], file["embedding"]
        return _analysis(words, packed, embedding)
    except FileNotFoundError as error:
        raise XrvNodeError(f"The stored analysis {path.name} is missing: reprocess its study.") from error
    except Exception as error:  # zipfile, zlib, numpy and json each have their own ways to say it
        raise XrvNodeError(f"The stored analysis {path.name} is damaged: reprocess its study.") from error


def _analysis(words: dict[str, Any], packed: Any, embedding: Any) -> Analysis:
    shape = words["masks_shape"]
    models = words["model_set"]
    classifier, segmenter, autoencoder = (
        ModelIdentity(**models[role]) for role in ("classifier", "segmenter", "autoencoder")
    )
    return Analysis(
        sop_instance_uid=words["sop_instance_uid"],
        model_set=ModelSet(classifier, segmenter, autoencoder, models["commissioning"]),
        findings=tuple(
            Finding(
                finding["label"],
                finding["score"],
                finding["sigmoid"],
                tuple((column, row) for column, row in finding["region"]),
            )
            for finding in words["findings"]
        ),
        structures=tuple(words["structures"]),
        masks=np.unpackbits(packed, count=int(np.prod(shape))).astype(np.bool_).reshape(shape),
        frame=Frame(**words["frame"]),
        reconstruction_error=words["reconstruction_error"],
        embedding=embedding,
        resampler=words["resampler"],
        ssim=words["ssim"],
        quality=tuple(words["quality"]),
        refused=words["refused"],
    )
