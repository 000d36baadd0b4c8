"""A network with what its outputs mean: what ``get_model`` returns.

Names are those that a user of torchxrayvision knows (``pathologies``, ``targets``, ``features``, ``encode``,
``decode``), and so are the outputs, with one difference: a head that was not trained is not there. Images go
in as float ``[B, 1, H, H]`` in [-1024, 1024]; anything else is an ``ImageError`` (``inputs.check``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

import torch
from torch import nn

from xrv_node.errors import ConfigError
from xrv_node.models.operating_points import op_norm
from xrv_node.values import ModelIdentity, Role

if TYPE_CHECKING:
    from torch import Tensor

    from xrv_node.models.entry import ModelEntry


class _Scoring(Protocol):
    """What a network that ends in a vector offers."""

    def __call__(self, x: Tensor) -> Tensor: ...
    def forward_with_map(self, x: Tensor) -> tuple[Tensor, Tensor]: ...
    def finding_maps(self, activation: Tensor) -> Tensor: ...
    def embed(self, x: Tensor) -> Tensor: ...


class _Coding(Protocol):
    """What a network that reconstructs offers."""

    def encode(self, x: Tensor) -> Tensor: ...
    def decode(self, z: Tensor) -> Tensor: ...


class Model(nn.Module):
    """A network, its name, and the size that its weights were trained on.

    Parameters
    ----------
    entry
        The catalogue's entry.
    network
        As ``architectures.assemble`` returns it.
    sha256
        Digest of its tensors (``convert.tensors_sha256``).
    """

    def __init__(self, entry: ModelEntry, network: nn.Module, sha256: str = "") -> None:
        super().__init__()
        self.entry = entry
        self.name = entry.name
        self.sha256 = sha256
        self.network = network
        self.training = network.training
        self.targets: tuple[str, ...] = tuple(label for label, _ in entry.trained_heads)
        """What the outputs stand for, in their order."""
        self.size: int = getattr(network, "size", entry.input_size)
        """Rows and columns of the network's own input; square images of other sizes are resized inside."""

    @property
    def identity(self) -> ModelIdentity:
        """As it is named in every result."""
        return ModelIdentity(self.entry.role, self.name, self.sha256, self.entry.site_thresholds)

    @property
    def device(self) -> str:
        """Where it is: ``cpu``, ``cuda:0``."""
        return str(next(self.parameters()).device)

    def __repr__(self) -> str:
        return f"<{self.entry.role} {self.name}>"


class _Vector(Model):
    """A network that ends in one number for each target."""

    @property
    def map_module(self) -> nn.Module | None:
        """The module that puts out the last feature map, for hooks; None where there is not a single one.

        What it puts out may be before the last ReLU; ``forward_with_map`` returns it after.
        """
        module: nn.Module | None = getattr(self.network, "map_module", None)
        return module

    def _outputs(self, x: Tensor) -> Tensor:
        return cast("_Scoring", self.network)(x)

    def _outputs_with_map(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if self.map_module is None:
            raise ConfigError(f"{self.name} is several networks and has no one map: choose another network")
        return cast("_Scoring", self.network).forward_with_map(x)

    def features(self, x: Tensor) -> Tensor:
        """Return one vector for each image, ``[B, d]``, as torchxrayvision's ``features`` or ``features2``.

        Raises
        ------
        ConfigError
            The network is a program, of which only the outputs can be seen (age).
        """
        if not hasattr(self.network, "embed"):
            raise ConfigError(f"{self.name} is a program that gives no features: choose another network")
        return cast("_Scoring", self.network).embed(x)


class Classifier(_Vector):
    """A network that scores findings.

    Parameters
    ----------
    entry, network, sha256
        As ``Model``.
    xrv_compatible
        Take the operating points that torchxrayvision applies, also where they are known to be wrong
        (``entry.ModelEntry.published_thresholds``).
    """

    def __init__(
        self, entry: ModelEntry, network: nn.Module, sha256: str = "", *, xrv_compatible: bool = False
    ) -> None:
        super().__init__(entry, network, sha256)
        self.heads = tuple(head for _, head in entry.trained_heads)
        """The network's output channel of each label."""
        points = entry.operating_points(published=xrv_compatible)
        self.thresholds: tuple[float, ...] | None = self._of_heads(points.thresholds)
        """Operating point of each label on the sigmoid's scale, where sensitivity and specificity have their
        highest sum (Youden), or the site's own (``entry.site_thresholds``); None where none is published."""
        self.ppv80_thresholds: tuple[float, ...] | None = self._of_heads(points.ppv80)
        """Where the precision first exceeds 0.8, on the sigmoid's scale; None where not published."""
        self._points: Tensor
        at = torch.tensor(self.thresholds or [], dtype=torch.float32)
        self.register_buffer("_points", at, persistent=False)

    def _of_heads(self, values: tuple[float, ...]) -> tuple[float, ...] | None:
        return tuple(values[head] for head in self.heads) if values else None

    @property
    def pathologies(self) -> tuple[str, ...]:
        """What the outputs stand for: the labels that the weights were trained on, in channel order."""
        return self.targets

    def logits(self, x: Tensor) -> Tensor:
        """Return ``[B, len(pathologies)]``; the sigmoid of a logit is on the scale of ``thresholds``."""
        return self._outputs(x)[:, list(self.heads)]

    def forward_with_map(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``logits(x)`` and the last feature map ``[B, C, h, w]``, non-negative, in one graph.

        The gradient of a logit by that map is what Grad-CAM weighs it with.

        Raises
        ------
        ConfigError
            The network is an ensemble (``map_module`` is None).
        """
        outputs, activation = self._outputs_with_map(x)
        return outputs[:, list(self.heads)], activation

    def finding_maps(self, activation: Tensor) -> Tensor:
        """Return where in the image each finding is seen.

        Parameters
        ----------
        activation
            The map that ``forward_with_map`` returned.

        Returns
        -------
        Tensor
            ``[B, len(pathologies), h, w]``, at least 0: class activation maps, or the maps that a network was
            trained to give, which lie in [0, 1].

        Raises
        ------
        ConfigError
            The network's outputs are no sum over places of its map.
        """
        if not hasattr(self.network, "finding_maps"):
            raise ConfigError(f"{self.name} has no map a finding: choose another network")
        return cast("_Scoring", self.network).finding_maps(activation)[:, list(self.heads)]

    def scores(self, logits: Tensor) -> Tensor:
        """Turn ``logits(x)`` into what ``model(x)`` returns."""
        p = logits.sigmoid()
        return p if self.thresholds is None else op_norm(p, self._points)

    def forward(self, x: Tensor) -> Tensor:
        """Return scores ``[B, len(pathologies)]`` in [0, 1].

        With ``thresholds`` a score of 0.5 is the operating point (``calibration.op_norm``), without them a
        score is the plain sigmoid.
        """
        return self.scores(self.logits(x))


class Attribute(_Vector):
    """A network that reads an attribute off the image: its view, or the patient's age, sex or race."""

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[B, len(targets)]`` as torchxrayvision does.

        Logits of view and sex, log-probabilities of race, years of age.
        """
        return self._outputs(x)

    def probabilities(self, x: Tensor) -> Tensor:
        """Return ``[B, len(targets)]`` of sum 1: the softmax over the targets.

        Raises
        ------
        ConfigError
            There is one target, a number and not a class (age).
        """
        if len(self.targets) == 1:
            raise ConfigError(f"{self.name} gives a number, not classes: call the model itself")
        return self._outputs(x).softmax(dim=1)

    def forward_with_map(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``model(x)`` and the last feature map, as ``Classifier.forward_with_map``."""
        return self._outputs_with_map(x)


class Segmenter(Model):
    """A network that outlines structures."""

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``[B, len(targets), size, size]``; structures overlap, each channel decides alone."""
        logits: Tensor = self.network(x)
        return logits

    def masks(self, x: Tensor) -> Tensor:
        """Return bool ``[B, len(targets), size, size]``: where the sigmoid of the logit is above 0.5."""
        return self.masks_and_mean(x)[0]

    def masks_and_mean(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``masks(x)`` and the mean logit ``[B]``, which is no number where any logit is none."""
        logits: Tensor = self(x)
        return logits > 0, logits.flatten(1).mean(dim=1)


class Autoencoder(Model):
    """A network that squeezes an image and builds it up again."""

    def encode(self, x: Tensor) -> Tensor:
        """Return the latent, ``[B, C, h, w]``: 512 x 3 x 3 for ``101-elastic``, code vectors for a VQGAN."""
        return cast("_Coding", self.network).encode(x)

    def decode(self, z: Tensor) -> Tensor:
        """Return the image of a latent, ``[B, 1, size, size]``, about [-1024, 1024]."""
        return cast("_Coding", self.network).decode(z)

    def rebuilt(self, x: Tensor) -> Tensor:
        """Return what becomes of ``x``, as ``decode``."""
        return self.decode(self.encode(x))

    def features(self, x: Tensor) -> Tensor:
        """Return the latent's spatial mean, ``[B, C]``: one vector for each image.

        torchxrayvision's ``features`` is its ``encode``.
        """
        return self.encode(x).mean(dim=(2, 3))

    def compared(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return how far the image that is built up again is off, that image, and ``features(x)``; float32.

        The error ``[B]`` is the mean absolute difference, the image ``[B, 1, size, size]``.
        """
        z = self.encode(x)
        out = self.decode(z).float()
        return (x - out).abs().mean(dim=(1, 2, 3)), out, z.float().mean(dim=(2, 3))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Return ``z``, as ``encode``, and ``out``, as ``decode``.

        torchxrayvision's VQGAN returns ``out`` alone.
        """
        z = self.encode(x)
        return {"z": z, "out": self.decode(z)}


MODELS: dict[Role, type[Model]] = {
    "classifier": Classifier,
    "attribute": Attribute,
    "segmenter": Segmenter,
    "autoencoder": Autoencoder,
}
"""By the role that the catalogue gives."""
