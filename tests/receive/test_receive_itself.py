"""A node that is tried from its own machine: it speaks TLS to itself, and says what keeps it out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from certificates import pair
from made import radiograph
from ports import free_port

from xrv_node import settings
from xrv_node.acceptance import sending
from xrv_node.acceptance.cases import Case, Shot
from xrv_node.acceptance.expected import ExpectedCase, ExpectedImage
from xrv_node.deliver import way
from xrv_node.errors import ConfigError

LISTS = 'allowed_calling_ae = ["PACS", "XRVACCEPT"]\nallowed_addresses = ["127.0.0.1", "10.0.0.0/8"]\n'


def configured(directory: Path, receive: str) -> settings.Settings:
    path = directory / "tried.toml"
    path.write_text(receive)
    return settings.load(path)


@pytest.mark.parametrize("ca", [False, True])
def test_images_go_over_tls_to_a_node_that_wants_it(
    start: Callable[[str], int], tmp_path: Path, *, ca: bool
) -> None:
    own = pair(tmp_path, "node", "DNS:node.example")
    tls = f'[receive.tls]\ncertificate = "{own.certificate}"\nkey = "{own.key}"\n'
    tls += f'ca = "{own.certificate}"\n' if ca else ""
    receive = f'[receive]\nhost = "0.0.0.0"\nport = {free_port()}\n{LISTS}{tls}'
    start(receive)
    image = radiograph()
    path = tmp_path / "image.dcm"
    image.save_as(path, enforce_file_format=True)
    sent = ExpectedImage(image.SOPInstanceUID, "1", "P", "P", 8, 8, path, answered=True)
    case = ExpectedCase(Case("one", "normal", (Shot(),)), (sent,))
    whom = way.to_itself(configured(tmp_path, receive), "XRVACCEPT")
    assert [(one.says, one.good) for one in sending.send(whom, case, calling_ae="XRVACCEPT")] == [
        ("0x0000", True)
    ]
    assert str(whom).endswith(" over TLS")


@pytest.mark.parametrize(
    ("keys", "remedy"),
    [
        ('port = 104\nallowed_calling_ae = ["PACS"]', "receive.allowed_calling_ae: add XRVACCEPT"),
        (
            'port = 104\nhost = "0.0.0.0"\nallowed_addresses = ["10.0.0.5"]',
            "allowed_addresses: add 127.0.0.1",
        ),
        (
            'port = 104\nhost = "10.1.2.3"\nallowed_addresses = ["10.0.0.5"]',
            "allowed_addresses: add 10.1.2.3",
        ),
        ("port = 0", "name the node and the port that it told"),
    ],
)
def test_what_keeps_it_out_is_said_before_anything_is_sent(tmp_path: Path, keys: str, remedy: str) -> None:
    with pytest.raises(ConfigError, match=remedy):
        way.to_itself(configured(tmp_path, f"[receive]\n{keys}\n"), "XRVACCEPT")
