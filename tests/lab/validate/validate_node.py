"""A node in the test's own process: an SCP that answers each image at once with what the test makes of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_networks
from analysed import Networks
from ports import free_port
from pydicom import Dataset
from pynetdicom import AE, evt
from serving import Node
from typer.testing import CliRunner

from xrv_node import frontal, report
from xrv_node.cli import app
from xrv_node.deliver import scu
from xrv_node.lab.validate import networks, through_node
from xrv_node.values import DEFAULT_STYLE, AnalysisInput, ImageOutcome, StudyOutcome, Style

Answer = Callable[[Dataset], list[Dataset]]


@contextmanager
def node(back: int, answer: Answer, port: int = 0) -> Iterator[tuple[scu.Peer, list[Dataset]]]:
    """Yield whom to send to, and what was received so far; the answers go to the port `back`."""
    received: list[Dataset] = []

    def store(event: evt.Event) -> int:
        image = event.dataset
        received.append(image)
        made = answer(event.dataset)
        if made:
            sender = AE(ae_title="XRVNODE")
            for one in made:
                sender.add_requested_context(one.SOPClassUID, one.file_meta.TransferSyntaxUID)
            association = sender.associate("127.0.0.1", back, ae_title=through_node.CALLING_AE)
            for one in made:
                assert association.send_c_store(one).Status == 0
            association.release()
        return 0

    ae = AE(ae_title="XRVNODE")
    for uid in ("1.2.840.10008.5.1.4.1.1.1.1", "1.2.840.10008.5.1.4.1.1.1"):
        ae.add_supported_context(uid)
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    try:
        yield scu.Peer("XRVNODE", "127.0.0.1", server.server_address[1]), received
    finally:
        ae.shutdown()


def results(
    image: Dataset,
    scores: dict[str, float],
    style: Style = DEFAULT_STYLE,
    kinds: Sequence[str] = ("report", "seg"),
    **analysis: Any,
) -> list[Dataset]:
    """The objects that a node makes of an image with these scores; what else is found may be given too."""
    networks = Networks(scores=scores)
    (found,) = networks.analyse([AnalysisInput(image.SOPInstanceUID, Path())])
    found = replace(found, **{"masks": np.ones((1, 8, 8), bool)} | analysis)
    del image.PixelData
    outcome = StudyOutcome(
        image.StudyInstanceUID,
        (ImageOutcome(image, frontal.decide(image), found),),
        networks.model_set,
        datetime(2026, 1, 1, tzinfo=UTC),
    )
    return [made.dataset for made in report.build(outcome, kinds, style)]


def told_by_a_running_node(directory: Path, *options: str, seg_type: str = "binary") -> dict[str, Any]:
    """What `validate` with these options says of its way through a node with small networks."""
    port = free_port()
    running = Node(
        directory / "node",
        destinations=f'[[destinations]]\nname = "validation"\nkind = "dimse"\nae_title = "XRVVALIDATE"\n'
        f'host = "127.0.0.1"\nport = {port}\nsend = ["report", "seg"]\nseg_type = "{seg_type}"\n',
        small=True,
    ).start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(networks, "get_model", small_networks.get_model)
            patch.setattr(
                through_node, "GRACE", 120
            )  # nothing is missing: only a busy machine waits for long
            ran = CliRunner().invoke(
                app,
                [
                    *("validate", *options, "--workers", "0", "--device", "cpu", "--json"),
                    *("--out", str(directory / "out"), "--through-node", f"XRVNODE@127.0.0.1:{running.port}"),
                    *("--receive-port", str(port)),
                ],
            )
    finally:
        running.stop()
    assert ran.exit_code == 0, ran.output + str(ran.exception)
    return dict(json.loads(ran.stdout)["through_node"])
