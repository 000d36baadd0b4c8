"""Who is refused is told which line to change, on whichever side it stands; seen from outside, with dcmtk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from peer_archives import SENDER_AE
from peer_node import AE_TITLE, Destination, Node, command, write_config
from peer_programs import HOST, alive, program, run, running, until
from ports import free_port
from worded import said

pytestmark = pytest.mark.peers


@pytest.mark.parametrize(
    ("calling", "called", "dcmtk_says", "line"),
    [
        ("NOBODY", AE_TITLE, "Calling AE Title Not Recognized", 'add "NOBODY" to receive.allowed_calling_ae'),
        (SENDER_AE, "OTHER", "Called AE Title Not Recognized", f"it called OTHER, this node is {AE_TITLE} (receive.ae_title)"),
    ],
)  # fmt: skip
def test_a_sender_that_we_refuse(node: Node, calling: str, called: str, dcmtk_says: str, line: str) -> None:
    ran = run("echoscu", "-v", "-aet", calling, "-aec", called, HOST, node.port)
    assert ran.returncode != 0
    assert dcmtk_says in ran.stdout
    until("line in the log", lambda: line in node.log.read_text(), seconds=10)
    assert line in {said(event["detail"]["remedy"]) for event in node.events("association.refused")}


@contextmanager
def archive(directory: Path, port: int, knows: str) -> Iterator[None]:
    """dcmtk's archive, which lets in only those that its table names."""
    (directory / "images").mkdir(exist_ok=True)
    config = directory / "dcmqrscp.cfg"
    config.write_text(
        f"NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
        f"HostTable BEGIN\nnode = ({knows}, localhost, 11112)\nHostTable END\n"
        "VendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\nARCHIVE {directory}/images RW (200, 1024mb) node\nAETable END\n"
    )
    log = directory / "dcmqrscp.log"
    with running([program("dcmqrscp"), "-c", config], log) as process:

        def look() -> bool:
            alive(process, log)
            return run("echoscu", "-aet", knows, "-aec", "ARCHIVE", HOST, port).returncode == 0

        until("answer of dcmqrscp", look, seconds=30)
        yield


def test_an_archive_that_refuses_us(tmp_path: Path) -> None:
    port = free_port()

    def check(called: str = "ARCHIVE") -> str:
        config = write_config(tmp_path, [Destination("archive", called, port)])
        return command("destinations", "check", "--config", config).stdout

    with archive(tmp_path, port, "SOMEBODY"):
        # It says "called AE title not recognized" of a calling one.
        assert "ask its administrator to let XRVNODE at this host's address in" in check()
    with archive(tmp_path, port, AE_TITLE):
        assert "archive: good" in check()
        assert "it is not called OTHER: correct `ae_title` of the destination" in check("OTHER")
