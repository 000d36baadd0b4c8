"""The networks on one device of this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray

from xrv_node.analyse import gate
from xrv_node.analyse.analyser import AnalysisInput
from xrv_node.analyse.engines import PLAIN, Engine
from xrv_node.analyse.heatmap import cam, region
from xrv_node.errors import ImageError
from xrv_node.models import Networks, autoencoder, densenet, pspnet
from xrv_node.radiograph.display import LONGEST, display
from xrv_node.radiograph.prepare import RESAMPLER, frame, prepare_all
from xrv_node.radiograph.read import read
from xrv_node.values import OPERATING_POINT, Analysis, Finding, Frame, ModelSet, Role

NETWORKS: tuple[Role, ...] = ("classifier", "segmenter", "autoencoder")
_SIZES = sorted({densenet.SIZE, pspnet.SIZE, autoencoder.SIZE})


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    """One image, ready for the networks."""

    frame: Frame
    inputs: dict[int, NDArray[np.float32]]
    """By side: ``[side, side]`` in [-1024, 1024]."""
    picture: NDArray[np.uint8]
    """``[rows', columns']``, the whole image as displayed; results are drawn on it."""


@dataclass(frozen=True, slots=True, eq=False)
class _Outputs:
    """What the networks say of a batch; the first axis of all is the image."""

    scores: NDArray[np.float32]
    sigmoids: NDArray[np.float32]
    maps: NDArray[np.float32]
    masks: NDArray[np.bool_]
    errors: NDArray[np.float32]
    reconstructions: NDArray[np.float32]
    embeddings: NDArray[np.float32]
    finite: NDArray[np.bool_]
    """Whether every number that the networks gave for the image is one."""


class LocalAnalyser:
    """An ``Analyser`` on one device: one forward pass of each network per batch.

    Parameters
    ----------
    networks
        As ``models.load_set`` returns them, on the device where they are to run. They are changed, and good
        for this analyser only from then on.
    engines
        How each network is run; plain torch where nothing is said.
    limits
        What the gate holds images to. Untrained networks have no gate.
    readers
        Threads that read and prepare images; the decoders work outside Python's lock.
    """

    def __init__(
        self,
        networks: Networks,
        engines: Mapping[Role, Engine] | None = None,
        limits: gate.Limits | None = None,
        readers: int = 4,
    ) -> None:
        self._networks = networks
        self._engines: dict[Role, Engine] = {role: (engines or {}).get(role, PLAIN) for role in NETWORKS}
        self._limits = limits
        self._readers = readers
        for role, engine in self._engines.items():
            engine.prepare(getattr(networks, role))

    @property
    def model_set(self) -> ModelSet:
        """The networks that produce the analyses."""
        return self._networks.identity

    def analyse(self, batch: Sequence[AnalysisInput]) -> list[Analysis | ImageError]:
        """Analyse a batch of images.

        Parameters
        ----------
        batch
            Any number of images, of any studies. Where they do not fit into the device's memory together they
            are run in halves.

        Returns
        -------
        list
            For each image, in the order of `batch`, its analysis, or the error for which it can never have
            one; an image that fails leaves the others as they are.

        Raises
        ------
        torch.OutOfMemoryError
            If the device has not enough memory for one image.
        """
        with ThreadPoolExecutor(self._readers) as pool:
            prepared = list(pool.map(_prepare, batch))
        pairs = zip(batch, prepared, strict=True)
        analyses = iter(self._analyses([(item, p) for item, p in pairs if isinstance(p, _Prepared)]))
        return [p if isinstance(p, ImageError) else next(analyses) for p in prepared]

    def _analyses(self, images: Sequence[tuple[AnalysisInput, _Prepared]]) -> list[Analysis | ImageError]:
        if not images:
            return []
        tensors = {
            size: torch.from_numpy(np.stack([prepared.inputs[size] for _, prepared in images])[:, np.newaxis])
            for size in _SIZES
        }
        outputs = self._run(tensors)
        return [
            self._analysis(item.sop_instance_uid, prepared, outputs, row)
            for row, (item, prepared) in enumerate(images)
        ]

    def _run(self, tensors: dict[int, torch.Tensor]) -> _Outputs:
        count = len(tensors[_SIZES[0]])
        try:
            return self._forward(tensors)
        except torch.OutOfMemoryError:
            if count == 1:
                raise
        # outside the handler: its traceback would keep what the attempt allocated
        torch.cuda.empty_cache()
        half = count // 2
        parts = [
            self._run({size: tensor[rows] for size, tensor in tensors.items()})
            for rows in (slice(half), slice(half, None))
        ]
        return _Outputs(
            *(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(_Outputs))
        )

    def _forward(self, tensors: dict[int, torch.Tensor]) -> _Outputs:
        networks = self._networks
        # TF32 would round every input of a convolution to 10 bits; a repeated run must make the same objects
        exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
        with torch.inference_mode(), exact:
            on_device = {
                size: tensor.to(networks.device, memory_format=torch.channels_last)
                for size, tensor in tensors.items()
            }
            with self._precision("classifier"):
                logits, activation = networks.classifier.forward_with_map(on_device[densenet.SIZE])
            scores, sigmoids = networks.scores(logits.float())
            maps = cam(activation.float(), networks.classifier.classifier.weight[list(networks.heads)])
            with self._precision("segmenter"):
                structures = networks.segmenter(on_device[pspnet.SIZE])
            image = on_device[autoencoder.SIZE]
            with self._precision("autoencoder"):
                reconstruction, latent = networks.autoencoder(image)
            reconstruction = reconstruction.float()
            errors = (image - reconstruction).abs().mean(dim=(1, 2, 3))
            embeddings = latent.float().mean(dim=(2, 3))
            finite = torch.ones(len(image), dtype=torch.bool, device=image.device)
            for output in (scores, maps, structures, errors, embeddings):
                finite &= output.isfinite().flatten(1).all(dim=1) if output.ndim > 1 else output.isfinite()
            # sigmoid(x) > 0.5
            masks = structures > 0
        return _Outputs(
            *(
                t.cpu().numpy()
                for t in (scores, sigmoids, maps, masks, errors, reconstruction[:, 0], embeddings, finite)
            )
        )

    def _precision(self, role: Role) -> AbstractContextManager[object]:
        return self._engines[role].precision(self._networks.device)

    def _analysis(self, uid: str, prepared: _Prepared, outputs: _Outputs, row: int) -> Analysis | ImageError:
        if not outputs.finite[row]:
            return ImageError(
                "The networks gave no number for this image: their arithmetic overflowed on it."
            )
        findings = []
        for head, label in enumerate(self._networks.labels):
            score = float(outputs.scores[row, head])
            present = score >= OPERATING_POINT
            outline = region(outputs.maps[row, head], prepared.frame) if present else ()
            findings.append(Finding(label, score, float(outputs.sigmoids[row, head]), outline))
        structures, masks, error = self._networks.structures, outputs.masks[row], float(outputs.errors[row])
        similarity = gate.ssim(prepared.inputs[autoencoder.SIZE], outputs.reconstructions[row])
        judged = (
            gate.NOT_JUDGED
            if self.model_set.commissioning
            else gate.judge(error, similarity, masks, structures, self._limits)
        )
        return Analysis(
            sop_instance_uid=uid,
            model_set=self.model_set,
            findings=tuple(findings),
            structures=structures,
            masks=masks,
            frame=prepared.frame,
            reconstruction_error=error,
            embedding=outputs.embeddings[row],
            resampler=RESAMPLER,
            ssim=similarity,
            quality=judged.flags,
            refused=judged.refused,
            maps=outputs.maps[row],
            picture=prepared.picture,
        )


def _prepare(item: AnalysisInput) -> _Prepared | ImageError:
    try:
        radiograph = read(item.path)
    except ImageError as error:
        return error
    square = frame(radiograph.rows, radiograph.columns)
    return _Prepared(square, prepare_all(radiograph, _SIZES), display(radiograph, LONGEST))
