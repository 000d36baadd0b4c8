"""The limits of ``[models.mismatch]``: how far networks are from the headers of a site's own images."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from xrv_node.analyse import gate
from xrv_node.analyse.checks import Check
from xrv_node.lab.images.files import Source, Unread, opened
from xrv_node.radiograph.prepare import DEFAULT, prepare
from xrv_node.reasons import as_is
from xrv_node.values import Verdict

LEAST = 0.01
"""Of a limit, which has two decimals: the network never was further off, or was never off at all."""


@dataclass(frozen=True, slots=True)
class Distances:
    """How far one attribute's network is off, an image each."""

    off: tuple[tuple[float, Source], ...]
    """As the attribute's ``off`` tells it; images whose header says nothing are left out."""

    def limit(self, quantile: float) -> float:
        """The distance that one more image like these stays within with that probability (``gate.rank``).

        Raises
        ------
        ConfigError
            As ``gate.rank``.
        """
        rank = gate.rank(len(self.off), quantile)
        off = sorted(off for off, _ in self.off)[rank - 1]
        return max(LEAST, math.ceil(off * 100) / 100)

    def beyond(self, limit: float) -> list[Source]:
        """The images that a node would caution about, the furthest first."""
        far = sorted((pair for pair in self.off if pair[0] > limit), key=lambda pair: -pair[0])
        return [source for _, source in far]


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of a folder."""

    distances: dict[str, Distances]
    """By attribute."""
    left_out: tuple[Unread, ...]
    """Files that are no images, pictures without a header, and images that a node does not analyse."""


def measure(
    checks: Mapping[str, Check],
    sources: Sequence[Source],
    done: Callable[[int, int], None] = lambda _done, _total: None,
) -> Measured:
    """Hold images against their headers.

    Parameters
    ----------
    checks
        By attribute, as ``checks.load`` returns them; at least one.
    sources
        DICOM files whose headers are believed: images of the site's own archive.
    done
        Told after each file how many of how many are done.
    """
    found: dict[str, list[tuple[float, Source]]] = {name: [] for name in checks}
    left_out: list[Unread] = []
    size = next(iter(checks.values())).size
    for number, image in enumerate(opened(sources, size, DEFAULT, ahead=8), 1):
        done(number, len(sources))
        if isinstance(image, Unread):
            left_out.append(image)
            continue
        header = image.radiograph.header
        if header is None or image.decision is None:
            left_out.append(Unread(image.source.path, as_is("a picture has no header")))
        elif image.decision.verdict not in (Verdict.FRONTAL, Verdict.UNKNOWN):
            left_out.append(Unread(image.source.path, as_is(image.note)))
        else:
            for name, check in checks.items():
                pixels = image.pixels if check.size == size else prepare(image.radiograph, check.size)
                if (off := check.off(pixels, header)) is not None:
                    found[name].append((off, image.source))
    return Measured({name: Distances(tuple(pairs)) for name, pairs in found.items()}, tuple(left_out))
