"""The gate's limits from a folder of the site's own images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from xrv_node.analyse import gate
from xrv_node.lab.images.files import Source, Unread, opened
from xrv_node.models import NodeNetworks, inference
from xrv_node.radiograph.prepare import DEFAULT, RESAMPLER
from xrv_node.reasons import as_is
from xrv_node.values import Verdict


@dataclass(frozen=True, slots=True)
class Fitted:
    """What came of a folder."""

    limits: gate.Limits
    errors: tuple[float, ...]
    """Mean absolute error of each image that counted, on the [-1024, 1024] scale."""
    similarities: tuple[float, ...]
    left_out: tuple[Unread, ...]
    """Files that are no images, and images that are not frontal by their header."""


def fit(
    networks: NodeNetworks,
    sources: Sequence[Source],
    quantile: float,
    done: Callable[[int, int], None] = lambda _done, _total: None,
) -> Fitted:
    """Reconstruct images and find the limits that they stay within.

    Parameters
    ----------
    networks
        As ``models.load_set`` returns them.
    sources
        Adult, frontal chest radiographs. Other views are left out where a header tells; a picture has none.
    quantile
        As ``gate.fit`` takes it.
    done
        Told after each file how many of how many are done.

    Raises
    ------
    ConfigError
        As ``gate.fit``.
    """
    gate.check_fit(quantile, networks.identity)
    errors, similarities, left_out = list[float](), list[float](), list[Unread]()
    size = networks.autoencoder.size
    for number, image in enumerate(opened(sources, size, DEFAULT, ahead=8), 1):
        if isinstance(image, Unread):
            left_out.append(image)
        elif image.decision is not None and image.decision.verdict not in (Verdict.FRONTAL, Verdict.UNKNOWN):
            left_out.append(Unread(image.source.path, as_is(image.note)))
        else:
            x = torch.from_numpy(image.pixels)[None, None].to(networks.device)
            with inference.exact():
                y = networks.autoencoder.rebuilt(x)
            errors.append(float((x - y).abs().mean()))
            similarities.append(gate.ssim(image.pixels, y[0, 0].cpu().numpy()))
        done(number, len(sources))
    limits = gate.fit(errors, similarities, quantile, networks.identity, RESAMPLER)
    return Fitted(limits, tuple(errors), tuple(similarities), tuple(left_out))
