"""Options of the commands that send images to a node and receive its results."""

from __future__ import annotations

from typing import Annotated

import typer

_PANEL = "Results of the node"

ReceiveHostOption = Annotated[
    str, typer.Option(help="Address to listen on for them.", rich_help_panel=_PANEL)
]
ReceivePortOption = Annotated[
    int,
    typer.Option(
        min=1, max=65535, help="Where they are received: its destination leads there.", rich_help_panel=_PANEL
    ),
]
WaitOption = Annotated[
    float,
    typer.Option(
        min=1, help="Seconds without any, after which what is missing is given up.", rich_help_panel=_PANEL
    ),
]
