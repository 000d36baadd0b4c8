"""Health and metrics as a client sees them."""

from __future__ import annotations

import http.client
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from made import SECRET, incoming, radiograph
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from xrv_node import role_locks
from xrv_node.db import queries, trail
from xrv_node.db.repeats import Repeats
from xrv_node.db.store import Store
from xrv_node.errors import ConfigError
from xrv_node.product import VERSION
from xrv_node.reasons import Reason
from xrv_node.receive import intake
from xrv_node.settings import FrontalSection, Settings, load
from xrv_node.spool import Spool
from xrv_node.values import PHANTOM_WORDS
from xrv_node.web import server as web
from xrv_node.web.metrics import METRICS
from xrv_node.web.node import WebNode

DOCS = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"


class Client:
    """A running server, and questions to it."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.server = web.start(WebNode(settings, store, Spool(settings.data_dir)))

    def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
        """The status and the body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=90)
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        found = answer.status, answer.read().decode()
        connection.close()
        return found

    def metrics(self) -> dict[tuple[str, ...], float]:
        """Every sample by its name and the values of its labels."""
        status, body = self.ask("/metrics")
        assert status == 200
        return {
            (s.name, *s.labels.values()): s.value
            for family in text_string_to_metric_families(body)
            for s in family.samples
        }


def configured(directory: Path, web: str = "", rest: str = "") -> Settings:
    """A node's settings with its data in `directory`."""
    file = directory / "node.toml"
    file.write_text(f'[node]\ndata_dir = "."\n[web]\nport = 0\n{web}\n{rest}')
    return load(file)


@pytest.fixture
def client(store: Store, tmp_path: Path) -> Iterator[Client]:
    rest = '[[destinations]]\nname = "pacs"\nkind = "folder"\npath = "o"'
    made = Client(configured(tmp_path, rest=rest), store)
    with made.server:
        yield made


def test_it_is_live_and_says_what_is_missing_to_be_ready(client: Client, tmp_path: Path) -> None:
    assert client.ask("/health/live") == (200, "alive\n")
    assert client.ask("/health/ready") == (503, "not running: receiver, worker, courier\n")
    with ExitStack() as stack:
        for role in ("receiver", "worker", "courier"):
            stack.enter_context(role_locks.hold_role(tmp_path, role))
        stack.enter_context(role_locks.hold_role(tmp_path, "worker"))
        assert client.ask("/health/ready") == (200, "ready\n")
        assert client.metrics()["xrv_node_up", "worker"] == 2
    assert client.metrics()["xrv_node_up", "worker"] == 0


def test_a_database_that_does_not_answer_is_not_ready(client: Client, store: Store) -> None:
    with store.begin() as db:
        db.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        db.execute(text("DROP TABLE delivery"))
    status, said = client.ask("/health/ready")
    assert status == 503
    assert "database" in said
    assert client.ask("/metrics")[0] == 503
    assert client.ask("/health/live")[0] == 200


def test_the_numbers_follow_what_happens(client: Client, store: Store, spool: Spool) -> None:
    before = client.metrics()
    assert before["xrv_node_jobs", "analyse", "queued"] == 0
    assert before["xrv_node_events_total", "instance.received"] == 0
    assert before["xrv_node_deliveries", "pacs", "waiting"] == 0
    assert ("xrv_node_last_analysis_seconds",) not in before
    intake.accept(store, spool, FrontalSection(), incoming(radiograph(1)))
    intake.accept(store, spool, FrontalSection(), incoming(radiograph(2, ViewPosition="LL")))
    with store.begin() as db:
        trail.record(db, "instance.analysed", seconds=1.25)
        trail.record(db, "node.started", commissioning=True)
        trail.record(db, "destination.away", destination="pacs")
    after = client.metrics()
    assert after["xrv_node_jobs", "analyse", "queued"] == 1
    assert after["xrv_node_studies", "open"] == 1
    assert after["xrv_node_instances", "queued"] == after["xrv_node_instances", "skipped"] == 1
    assert after["xrv_node_events_total", "instance.received"] == 2
    assert after["xrv_node_last_analysis_seconds",] == 1.25
    assert after["xrv_node_oldest_job_seconds", "analyse"] > 0
    assert after["xrv_node_oldest_job_seconds", "deliver"] == 0
    assert before["xrv_node_destination_away", "pacs"] == 0
    assert after["xrv_node_destination_away", "pacs"] == 1
    assert 0 < after["xrv_node_disk_free_bytes",] < after["xrv_node_disk_bytes",]
    assert ("xrv_node_info", "true", PHANTOM_WORDS, VERSION) in after
    assert client.metrics()["xrv_node_events_total", "instance.received"] == 2  # not counted again


def test_a_row_that_stands_for_several_events_counts_as_so_many(client: Client, store: Store) -> None:
    repeats = Repeats(store)
    for number in range(30):
        repeats.record("instance.refused", peer="10.0.0.1", key=Reason("class-not-taken"), number=number)
    repeats.flush()
    assert client.metrics()["xrv_node_events_total", "instance.refused"] == 30
    with store.read() as db:
        assert len(list(queries.events(db, event="instance.refused"))) == 2


def test_the_documented_table_is_the_table(client: Client, store: Store, spool: Spool) -> None:
    intake.accept(store, spool, FrontalSection(), incoming(radiograph(1)))
    with store.begin() as db:
        trail.record(db, "instance.analysed", seconds=1.25)
        trail.record(db, "constancy.checked", good=True, amiss=[])
    rows = re.findall(r"^\| `(xrv_node_\w+)` \| (\w+) \| (.*?) \| (.*) \|$", DOCS.read_text(), re.MULTILINE)
    documented = {name: (kind, re.findall(r"`(\w+)`", labels), says) for name, kind, labels, says in rows}
    body = client.ask("/metrics", Accept="application/openmetrics-text")[1]
    served = {}
    for family in openmetrics(body):
        sample = family.samples[0]
        labels = [label for label in sample.labels if label != "le"]  # a bucket's end
        served[sample.name.removesuffix("_bucket")] = (family.type, labels, family.documentation)
    assert served == documented
    assert [m.name for m in METRICS] == list(documented)


def test_no_label_holds_what_the_objects_hold(client: Client, store: Store, spool: Spool) -> None:
    image = radiograph(1)
    intake.accept(store, spool, FrontalSection(), incoming(image))
    body = client.ask("/metrics")[1]
    for planted in (SECRET, "19600101", "ACC1", str(image.StudyInstanceUID), "PACS"):
        assert planted not in body


def test_what_is_not_there_and_what_cannot_be_done(client: Client) -> None:
    assert client.ask("/no/such/page")[0] == 404
    assert client.ask("/metrics/../etc/passwd")[0] == 404
    assert client.ask("/metrics", "POST")[0] == 405
    assert client.ask("/health/live", "DELETE")[0] == 405
    assert client.ask("/health/live/")[0] == 200


def test_metrics_take_the_word_of_a_file(store: Store, tmp_path: Path) -> None:
    settings = configured(tmp_path, 'host = "0.0.0.0"\ntoken_file = "word"')
    with pytest.raises(ConfigError, match=r"web\.token_file: .*word cannot be read"):
        Client(settings, store)
    (tmp_path / "word").write_text(" \n")
    with pytest.raises(ConfigError, match=r"web\.token_file: .*one line"):
        Client(settings, store)
    (tmp_path / "word").write_text("long-and-random\n")
    client = Client(settings, store)
    with client.server:
        assert client.ask("/metrics")[0] == 401
        assert client.ask("/metrics", Authorization="Bearer wrong")[0] == 401
        assert client.ask("/metrics", Authorization="Bearer \xe9")[0] == 401
        assert client.ask("/metrics", Authorization="Bearer long-and-random")[0] == 200
        assert client.ask("/health/live")[0] == 200


def test_an_answer_does_not_wait_for_the_receipt_of_its_header(client: Client) -> None:
    """Nagle's algorithm would hold the body back for 40 ms."""
    with socket.create_connection(("127.0.0.1", client.server.server_port), 10) as connection:
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(1)
        (ours,) = client.server._uvicorn.server_state.connections
        accepted = ours.transport.get_extra_info("socket")  # type: ignore[union-attr]
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_port_that_is_taken_is_named(client: Client, store: Store, tmp_path: Path) -> None:
    taken = Settings(node={"data_dir": tmp_path}, web={"port": client.server.server_port})
    with pytest.raises(
        ConfigError,
        match=r"web\.host, web\.port: cannot listen on 127\.0\.0\.1:\d+ \(Address already in use\); choose",
    ):
        Client(taken, store)
