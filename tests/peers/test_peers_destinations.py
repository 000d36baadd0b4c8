"""``xrv-node destinations check`` against dcmtk's storescp and Orthanc, running, strict and stopped."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from certificates import pair
from peer_archives import Orthanc, Storescp, storescp
from peer_node import AE_TITLE, Destination, Node, command, write_config
from peer_programs import HOST, program, run, running, until
from ports import free_port

pytestmark = pytest.mark.peers

PROFILE = "--profile-bcp195-nd"
"""dcmtk's name of the Non-Downgrading BCP 195 TLS Profile (PS3.15 B.10)."""
EXPLICIT = "Explicit VR Little Endian"
GOOD = [
    "C-ECHO: 0x0000",
    f"report: Enhanced SR Storage: {EXPLICIT}",
    f"sr: Comprehensive 3D SR Storage: {EXPLICIT}",
    f"seg: Segmentation Storage: {EXPLICIT}",
]
ONLY_REPORTS = """\
[[TransferSyntaxes]]
[Plain]
TransferSyntax1 = LittleEndianImplicit
[[PresentationContexts]]
[Reports]
PresentationContext1 = EnhancedSRStorage\\Plain
PresentationContext2 = VerificationSOPClass\\Plain
[[Profiles]]
[Reports]
PresentationContexts = Reports
"""


def check(config: Path, name: str) -> tuple[int, list[str]]:
    """Exit code, and what is said of the destination."""
    ran = command("destinations", "check", name, "--config", config, "--json")
    (row,) = json.loads(ran.stdout)["items"]
    assert row["name"] == name
    assert row["good"] == (ran.returncode == 0)
    return ran.returncode, row["says"]


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def test_storescp_is_good(node: Node, storescp: Storescp) -> None:
    assert check(node.config, storescp.destination.name) == (0, GOOD)


def test_orthanc_is_good(node: Node, orthanc: Orthanc) -> None:
    assert check(node.config, orthanc.destination.name) == (0, GOOD)


def test_what_is_printed(node: Node, storescp: Storescp, orthanc: Orthanc) -> None:
    ran = command("destinations", "check", "storescp", "orthanc", "--config", node.config)
    assert ran.returncode == 0
    assert [line for line in ran.stdout.splitlines() if not line.startswith(" ")] == [
        "storescp: good",
        "orthanc: good",
    ]
    assert (
        command("destinations", "check", "--config", node.config).returncode == 1
    )  # one of them does not run


def test_a_peer_that_was_stopped_fails(tmp_path: Path) -> None:
    program("storescp")
    with storescp(tmp_path / "archive") as archive:
        config = write_config(tmp_path, [archive.destination])
        assert check(config, "storescp") == (0, GOOD)
    code, says = check(config, "storescp")
    assert code == 1
    where = f"{HOST}:{archive.destination.port}"
    assert says == [
        f"no association with STORESCP at {where}: Connection refused: is it running and reachable?"
    ]


def test_orthanc_that_does_not_know_the_node_says_so(orthanc: Orthanc, tmp_path: Path) -> None:
    config = write_config(tmp_path, [orthanc.destination], ae_title="STRANGER")
    assert check(config, "orthanc") == (
        1, ["ORTHANC refused the association: it does not know our AE title STRANGER: ask its administrator to let STRANGER at this host's address in, or correct receive.ae_title"]
    )  # fmt: skip


def test_orthanc_that_is_called_otherwise_says_so(orthanc: Orthanc, tmp_path: Path) -> None:
    config = write_config(
        tmp_path, [Destination("orthanc", "OTHER", orthanc.destination.port)], ae_title=AE_TITLE
    )
    assert check(config, "orthanc") == (
        1, ["OTHER refused the association: it is not called OTHER: correct `ae_title` of the destination; or it does not know us: ask its administrator to let XRVNODE at this host's address in"]
    )  # fmt: skip


def test_a_peer_that_takes_only_reports_is_named_with_what_it_refuses(tmp_path: Path) -> None:
    profile, log, port = tmp_path / "storescp.cfg", tmp_path / "storescp.log", free_port()
    profile.write_text(ONLY_REPORTS)
    config = write_config(tmp_path, [Destination("strict", "STRICT", port)])
    with running([program("storescp"), "--fork", "-xf", profile, "Reports", str(port)], log):
        until("answer of storescp", lambda: run("echoscu", HOST, port).returncode == 0, seconds=30)
        code, says = check(config, "strict")
    assert code == 1
    assert says == [
        GOOD[0],
        "report: Enhanced SR Storage: Implicit VR Little Endian",
        "sr: Comprehensive 3D SR Storage: NOT ACCEPTED",
        "seg: Segmentation Storage: NOT ACCEPTED",
        "allow the SOP classes at the peer, or leave ['sr', 'seg'] out of `send`",
    ]


@pytest.mark.parametrize("trusted", [True, False], ids=["our certificate is known", "it is not"])
def test_mutual_tls_with_storescp(tmp_path: Path, trusted: bool) -> None:
    peer, node, port = pair(tmp_path, "peer"), pair(tmp_path, "node"), free_port()
    config = write_config(tmp_path, [Destination("secured", "SECURED", port)])
    files = {"ca": peer.certificate, "certificate": node.certificate, "key": node.key}
    with config.open("a") as table:
        table.write(
            "[destinations.tls]\n" + "".join(f"{k} = {json.dumps(str(v))}\n" for k, v in files.items())
        )
    arguments = [
        program("storescp"), "--fork", "+tls", peer.key, peer.certificate, "--require-peer-cert",
        "--add-cert-file", (node if trusted else peer).certificate, PROFILE, str(port),
    ]  # fmt: skip
    with running(arguments, tmp_path / "storescp.log"):
        until("open port", lambda: listens(port), seconds=30)
        code, says = check(config, "secured")
    if trusted:
        assert (code, says) == (0, GOOD)
    else:
        assert code == 1
        assert says[0].startswith(f"no TLS with SECURED at {HOST}:{port}: ")
        assert says[0].endswith("does it trust our `certificate`?")
