"""The networks that turn images into analyses, on one device of this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from pydicom import Dataset
from torch import Tensor

from xrv_node.analyse import gate
from xrv_node.analyse.checks import Checks
from xrv_node.analyse.engines import PLAIN, Engine
from xrv_node.analyse.heatmap import region
from xrv_node.errors import ImageError
from xrv_node.models import NodeNetworks, inference
from xrv_node.phantom.recognition import see_that_it_may_be_answered
from xrv_node.radiograph.display import LONGEST, display
from xrv_node.radiograph.image import Radiograph
from xrv_node.radiograph.prepare import RESAMPLER, frame, prepare_all
from xrv_node.radiograph.read import read
from xrv_node.reasons import Reason
from xrv_node.values import (
    OPERATING_POINT,
    SET_ROLES,
    Analysis,
    AnalysisInput,
    Finding,
    Frame,
    ModelSet,
    SetRole,
)


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    """One image, ready for the networks."""

    frame: Frame
    inputs: dict[int, NDArray[np.float32]]
    """By side: ``[side, side]`` in [-1024, 1024]."""
    picture: NDArray[np.uint8]
    """``[rows', columns']``, the whole image as displayed; results are drawn on it."""
    cautions: tuple[Reason, ...]
    """What its pixels were read in spite of."""
    header: Dataset | None
    """None for a picture, and for what is not held against its header."""
    mark: float | None
    """Of a phantom, the z of its mark."""


@dataclass(frozen=True, slots=True, eq=False)
class _Outputs:
    """What the networks say of a batch; the first axis of all is the image. In the order of `_forward`."""

    scores: NDArray[np.float32]
    sigmoids: NDArray[np.float32]
    maps: NDArray[np.float32]
    masks: NDArray[np.bool_]
    errors: NDArray[np.float32]
    reconstructions: NDArray[np.float32]
    embeddings: NDArray[np.float32]
    mean_logits: NDArray[np.float32]
    """Of the segmenter."""
    finite: NDArray[np.bool_]
    """Whether every number that the networks gave for the image is one."""


class Analyser:
    """The networks on one device: one forward pass of each per batch.

    Parameters
    ----------
    networks
        As ``models.load_set`` returns them, on the device where they are to run. They are changed, and good
        for this analyser only from then on.
    engines
        How each network is run; plain torch where nothing is said.
    limits
        What the gate holds images to. Networks for phantoms have no gate.
    checks
        What each image's header is held against, of networks for patients; phantoms have none.
    readers
        Threads that read and prepare images; the decoders work outside Python's lock.
    """

    def __init__(
        self,
        networks: NodeNetworks,
        engines: Mapping[SetRole, Engine] | None = None,
        limits: gate.Limits | None = None,
        checks: Checks | None = None,
        readers: int = 4,
    ) -> None:
        self._networks = networks
        self._engines = {role: (engines or {}).get(role, PLAIN) for role in SET_ROLES}
        self._limits = limits
        self._checks = checks or Checks(())
        self._readers = readers
        for role, engine in self._engines.items():
            engine.prepare(getattr(networks, role).network)

    @property
    def engines(self) -> dict[str, str]:
        """The name of each network's engine, by role."""
        return {role: engine.name for role, engine in self._engines.items()}

    @property
    def fitted(self) -> bool:
        """Whether the gate holds images to limits."""
        return self._limits is not None

    @property
    def model_set(self) -> ModelSet:
        """The networks that produce the analyses."""
        return self._networks.identity

    def analyse(
        self, batch: Sequence[AnalysisInput], *, phantoms: bool = False
    ) -> list[Analysis | ImageError]:
        """Analyse a batch of images.

        Parameters
        ----------
        batch
            Any number of images, of any studies. Where they do not fit into the device's memory together they
            are run in halves.
        phantoms
            Whether networks for patients may be shown phantoms too, for a test whose results go nowhere.
            Those for phantoms are never shown a patient.

        Returns
        -------
        list
            For each image, in the order of `batch`, its analysis, or the error for which it can never have
            one; an image that fails leaves the others as they are. Networks for phantoms answer those alone,
            and other networks no phantom: a ``WithheldError``.

        Raises
        ------
        torch.OutOfMemoryError
            If the device has not enough memory for one image.
        """
        with ThreadPoolExecutor(self._readers) as pool:
            prepared = list(pool.map(partial(self._prepared, phantoms=phantoms), batch))
        pairs = zip(batch, prepared, strict=True)
        analyses = iter(self._analyses([(item, p) for item, p in pairs if isinstance(p, _Prepared)]))
        return [p if isinstance(p, ImageError) else next(analyses) for p in prepared]

    def _prepared(self, item: AnalysisInput, *, phantoms: bool) -> _Prepared | ImageError:
        try:
            radiograph = read(item.path)
            mark = self._mark(radiograph, phantoms=phantoms)
        except ImageError as error:
            return error
        square = frame(radiograph.rows, radiograph.columns, radiograph.aspect)
        sizes = self._networks.sizes if phantoms else sorted({*self._networks.sizes, *self._checks.sizes})
        return _Prepared(
            square,
            prepare_all(radiograph, sizes),
            display(radiograph, LONGEST),
            radiograph.cautions,
            None if phantoms else radiograph.header,
            mark,
        )

    def _mark(self, radiograph: Radiograph, *, phantoms: bool) -> float | None:
        """See that the networks may answer an image; return the z of a phantom's mark."""
        if phantoms and not self.model_set.phantom:
            return None
        match = see_that_it_may_be_answered(radiograph, by_phantom_set=self.model_set.phantom)
        return match.z if self.model_set.phantom else None

    def _analyses(self, images: Sequence[tuple[AnalysisInput, _Prepared]]) -> list[Analysis | ImageError]:
        if not images:
            return []
        inputs = {
            size: np.stack([prepared.inputs[size] for _, prepared in images])[:, np.newaxis]
            for size in self._networks.sizes
        }
        arrays, finite = inference.in_halves(self._forward, inputs, self._networks.device)
        outputs = _Outputs(*[*arrays, finite])
        return [
            self._analysis(item.sop_instance_uid, prepared, outputs, row)
            for row, (item, prepared) in enumerate(images)
        ]

    def _forward(self, inputs: Mapping[int, Tensor]) -> tuple[Tensor, ...]:
        networks = self._networks
        classifier, segmenter, autoencoder = networks.classifier, networks.segmenter, networks.autoencoder
        laid_out = {size: x.to(memory_format=torch.channels_last) for size, x in inputs.items()}
        with self._precision("classifier"):
            logits, activation = classifier.forward_with_map(laid_out[classifier.size])
        logits = logits.float()
        with self._precision("segmenter"):
            masks, mean_logits = segmenter.masks_and_mean(laid_out[segmenter.size])
        with self._precision("autoencoder"):
            errors, reconstruction, embeddings = autoencoder.compared(laid_out[autoencoder.size])
        return (
            classifier.scores(logits),
            logits.sigmoid(),
            classifier.finding_maps(activation.float()),
            masks,
            errors,
            reconstruction[:, 0],
            embeddings,
            mean_logits.float(),
        )

    def _precision(self, role: SetRole) -> AbstractContextManager[object]:
        return self._engines[role].precision(self._networks.device)

    def _analysis(self, uid: str, prepared: _Prepared, outputs: _Outputs, row: int) -> Analysis | ImageError:
        if not outputs.finite[row]:
            return ImageError(Reason("networks-overflowed"))
        findings = []
        for head, label in enumerate(self._networks.classifier.pathologies):
            score = float(outputs.scores[row, head])
            present = score >= OPERATING_POINT
            outline = region(outputs.maps[row, head], prepared.frame) if present else ()
            findings.append(Finding(label, score, float(outputs.sigmoids[row, head]), outline))
        structures, masks = self._networks.segmenter.targets, outputs.masks[row]
        error = float(outputs.errors[row])
        similarity = gate.ssim(prepared.inputs[self._networks.autoencoder.size], outputs.reconstructions[row])
        judged = (
            gate.NOT_JUDGED
            if self.model_set.phantom
            else gate.judge(error, similarity, masks, structures, self._limits)
        )
        doubts = () if judged.refused else self._checks.look(prepared.inputs, prepared.header)
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
            quality=(*prepared.cautions, *doubts, *judged.flags),
            refused=judged.refused,
            maps=outputs.maps[row],
            picture=prepared.picture,
            mark=prepared.mark,
        )
