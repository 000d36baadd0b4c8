"""What a run leaves behind: the protocol as a page, on paper and for programs."""

from __future__ import annotations

import json
from pathlib import Path

from xrv_node import durable
from xrv_node.acceptance import page, pdf
from xrv_node.acceptance.protocol import Protocol, plain

PAGE, PAPER, DATA, OBJECT = "protocol.html", "protocol.pdf", "protocol.json", "protocol.dcm"


def write(protocol: Protocol, folder: Path) -> list[Path]:
    """Write the protocol; returns the paths: page, PDF, JSON, and the PDF as a DICOM object."""
    folder.mkdir(parents=True, exist_ok=True)
    paper = pdf.render(protocol)
    contents = {
        PAGE: page.html(protocol).encode(),
        PAPER: paper,
        DATA: json.dumps(plain(protocol), indent=1, allow_nan=False).encode(),
    }
    for name, content in contents.items():
        durable.write(folder / name, [content])
        (folder / name).chmod(
            0o644
        )  # to be read and printed by others, and there is nothing of a patient in it
    pdf.encapsulated(protocol, paper).save_as(folder / OBJECT, enforce_file_format=True)
    return [folder / name for name in (*contents, OBJECT)]
