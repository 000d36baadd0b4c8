"""A segmenter and an autoencoder of a few layers, with the inputs and outputs of the real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import untrained
from torch import nn

from xrv_node.models import catalog, model


class Segmenter(nn.Module):
    """``[n, 1, 512, 512]`` to a logit a structure and pixel."""

    def __init__(self, structures: int) -> None:
        super().__init__()
        self.inner = nn.Conv2d(1, structures, 16, stride=16)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return nn.functional.interpolate(self.inner(image), image.shape[-2:], mode="bilinear")


class Autoencoder(nn.Module):
    """``[n, 1, 224, 224]`` to its reconstruction and ``[n, 512, 4, 4]``."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Conv2d(1, 512, 56, stride=56)
        self.decoder = nn.ConvTranspose2d(512, 1, 56, stride=56)

    def encode(self, image: torch.Tensor) -> torch.Tensor:
        return self.encoder(image)

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        return self.decoder(latent)


def get_model(name: str, directory: Path | None = None, device: str = "cpu", **options: Any) -> model.Model:
    """As ``untrained.get_model``, but for these two."""
    entry = catalog.find(name, directory=directory)
    if entry.role not in ("segmenter", "autoencoder"):
        return untrained.get_model(name, directory, device, **options)
    torch.manual_seed(0)
    network = Segmenter(len(entry.labels)) if entry.role == "segmenter" else Autoencoder()
    return model.MODELS[entry.role](entry, network.eval(), "0" * 64).to(device)
