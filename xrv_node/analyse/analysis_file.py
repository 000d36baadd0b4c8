"""An analysis on disk, between the worker that made it and the report that needs it."""

from __future__ import annotations

import json
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrv_node import durable, reasons
from xrv_node.errors import XrvNodeError
from xrv_node.reasons import Reason
from xrv_node.values import SET_ROLES, Analysis, Finding, Frame, ModelIdentity, ModelSet


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
        "quality": [reasons.plain(reason) for reason in analysis.quality],
        "refused": analysis.refused and reasons.plain(analysis.refused),
        "masks_shape": analysis.masks.shape,
    }
    file = BytesIO()
    np.savez_compressed(
        file,
        allow_pickle=False,
        words=np.frombuffer(json.dumps(words, allow_nan=False).encode(), np.uint8),
        masks=np.packbits(analysis.masks),
        embedding=analysis.embedding,
        **_pictorial(analysis),
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
            maps = file.get("maps")
            picture = _decoded(file["picture"]) if "picture" in file else None
        return _analysis(words, packed, embedding, maps, picture)
    except FileNotFoundError as error:
        raise XrvNodeError(Reason("stored-analysis-missing", file=path.name)) from error
    except Exception as error:  # zipfile, zlib, numpy and json each have their own ways to say it
        raise XrvNodeError(Reason("stored-analysis-damaged", file=path.name)) from error


def _pictorial(analysis: Analysis) -> dict[str, NDArray[Any]]:
    """What pictures are drawn from, where the analysis has it. A radiograph is a third smaller as PNG, whose
    filters know rows, than as the archive's plain deflate, and takes half the time."""
    import cv2

    kept: dict[str, NDArray[Any]] = {}
    if analysis.maps is not None:
        kept["maps"] = analysis.maps
    if analysis.picture is not None:
        kept["picture"] = cv2.imencode(".png", analysis.picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1]
    return kept


def _decoded(png: NDArray[np.uint8]) -> NDArray[np.uint8]:
    import cv2

    picture = cv2.imdecode(png, cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise ValueError("not a picture")
    return np.asarray(picture, np.uint8)


def _identity(words: dict[str, Any]) -> ModelIdentity:
    # analyses of before there were a site's own operating points do not have the key
    points = tuple((label, threshold) for label, threshold in words.get("site_thresholds", ()))
    return ModelIdentity(words["role"], words["name"], words["sha256"], points)


def _analysis(
    words: dict[str, Any],
    packed: Any,
    embedding: Any,
    maps: NDArray[np.float32] | None,
    picture: NDArray[np.uint8] | None,
) -> Analysis:
    shape = words["masks_shape"]
    models = words["model_set"]
    classifier, segmenter, autoencoder = (_identity(models[role]) for role in SET_ROLES)
    return Analysis(
        sop_instance_uid=words["sop_instance_uid"],
        # analyses of before there were networks for phantoms may be untrained ones': no patient's either
        model_set=ModelSet(
            classifier, segmenter, autoencoder, models.get("phantom", models.get("commissioning", True))
        ),
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
        quality=tuple(map(reasons.revive, words["quality"])),
        refused=words["refused"] and reasons.revive(words["refused"]),
        maps=maps,
        picture=picture,
    )
