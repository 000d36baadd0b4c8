"""A network that was released as a program: TorchScript, which holds its own layout besides its weights.

The age model of Ieki et al. (2022) is one. Its layout cannot be known without the file, so there is no
network of ours to load its tensors into; to use it is to run what the file says. TorchScript is not Python,
but it is not a sandbox either (it reads and writes files), so nothing here runs without being told to.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import torch
from torch import nn

from xrv_node.errors import WeightsError
from xrv_node.models import inputs

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

SIZE = 320
"""Rows and columns of the images that the released weights were trained on."""


class Program(nn.Module):
    """The bytes of a TorchScript archive, and once it is started the network in it.

    Parameters
    ----------
    length
        Bytes of the archive.
    """

    archive: Tensor | None

    def __init__(self, length: int) -> None:
        super().__init__()
        self.register_buffer("archive", torch.empty(length, dtype=torch.uint8))
        self.script: nn.Module | None = None

    def start(self, device: str) -> None:
        """Load the program, which may run code from the file.

        Raises
        ------
        WeightsError
            It is not a program that this PyTorch can load.
        """
        if self.archive is None:
            return
        try:
            load: Callable[..., nn.Module] = torch.jit.load
            script = load(BytesIO(self.archive.numpy().tobytes()), map_location=device)
        except (RuntimeError, ValueError) as error:
            raise WeightsError(
                "the program in the weights file cannot be loaded: import the file again"
            ) from error
        for parameter in script.parameters():
            parameter.requires_grad_(False)
        self.script = script.eval()
        self.archive = None

    def forward(self, x: Tensor) -> Tensor:
        """Run the program.

        Parameters
        ----------
        x
            float ``[B, 1, H, H]`` in [-1024, 1024]; resized to 320 where H differs (``inputs.resize``).

        Returns
        -------
        Tensor
            What the program returns; of the age model years, ``[B, 1]``.

        Raises
        ------
        ImageError
            As ``inputs.check``.
        WeightsError
            It was not started.
        """
        y = inputs.imagenet(inputs.checked(x, SIZE))
        if self.script is None:
            raise WeightsError("the weights are a program: allow get_model to run it with run_code=True")
        outputs: Tensor = self.script(y)
        return outputs
