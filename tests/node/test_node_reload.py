"""SIGHUP: a node takes another configuration, and nobody who is connected notices."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from made import CR, radiograph
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from serving import Node, wait

from xrv_node import renewal
from xrv_node.db import queries
from xrv_node.errors import ConfigError
from xrv_node.settings import Settings, load
from xrv_node.supervisor import FIRST, ROLES, Child, Role, Supervisor

# ---------------------------------------------------------------- what a new configuration concerns


def configured(folder: Path, text: str = "") -> Settings:
    file = folder / "node.toml"
    file.write_text(text)
    return load(file)


@pytest.mark.parametrize(
    ("text", "keys", "roles"),
    [
        ("", [], []),
        ('[receive]\nallowed_calling_ae = ["A"]', ["receive.allowed_calling_ae"], ["receiver", "courier", "web"]),
        ('[receive]\nae_title = "OTHER"', ["receive.ae_title"], list(ROLES)),
        ("[retention]\ninputs_days = 3", ["retention.inputs_days"], ["courier"]),
        ("[web]\nenabled = true", ["web.enabled"], ["web"]),
        ('[[destinations]]\nname="o"\nkind="folder"\npath="o"', ["destinations"], ["worker", "courier", "web"]),
        ('[models.thresholds]\nMass = 0.5', ["models.thresholds"], ["receiver", "worker"]),
    ],
)  # fmt: skip
def test_what_changed_restarts_who_goes_by_it(
    tmp_path: Path, text: str, keys: list[str], roles: list[Role]
) -> None:
    before, now = (renewal.keys(configured(tmp_path, one)) for one in ("", text))
    changed = renewal.changed(before, now)
    assert changed == keys
    assert [role for role in ROLES if renewal.concerns(role, changed)] == roles


def test_every_table_concerns_somebody() -> None:
    read = {key.partition(".")[0] for keys in renewal.READS.values() for key in keys}
    assert read | {key.partition(".")[0] for key in renewal.FIXED} == set(Settings.model_fields)


def test_a_file_that_is_replaced_is_a_change(tmp_path: Path) -> None:
    token = tmp_path / "token"
    text = '[[destinations]]\nname="w"\nkind="web"\nurl="http://127.0.0.1/"\ntoken_file="token"\n'
    token.write_text("Heron")
    before = renewal.keys(configured(tmp_path, text))
    assert renewal.changed(before, renewal.keys(configured(tmp_path, text))) == []
    token.write_text("Bittern")
    assert renewal.changed(before, renewal.keys(configured(tmp_path, text))) == ["destinations"]
    (tmp_path / "data" / "models").mkdir(parents=True)
    (tmp_path / "data" / "models" / "some.safetensors").write_bytes(b"weights")
    now = renewal.keys(configured(tmp_path, text))
    assert renewal.changed(before, now) == ["destinations", "models.dir"]


# ---------------------------------------------------------------- who is replaced, in which order

PROCESS = """
import os, signal, sys, threading
stop = threading.Event()
for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda number, _: os._exit(0 if number == signal.SIGTERM else 7))
if sys.argv[1] == "fails":
    sys.exit(3)
if sys.argv[1] == "receiver":
    print("listening 11112", flush=True)
stop.wait()
"""


class Small(Supervisor):
    """One whose processes do nothing but to listen and to end."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.log: list[str] = []
        self.failing = False
        self.reloads = 0

    def _reload(self) -> None:
        super()._reload()
        self.reloads += 1

    def _start(self, role: Role, how: str = FIRST) -> Child:
        self.log.append(f"start {role}")
        fails = self.failing and role == "receiver"
        words = [sys.executable, "-S", "-c", PROCESS, "fails" if fails else role]
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        child = Child(role, process, monotonic(), first=how == FIRST)
        assert process.stdout is not None
        threading.Thread(target=self._listen, args=(child, process.stdout), daemon=True).start()
        return child

    def _has_left(self, child: Child) -> bool:
        left = super()._has_left(child)
        if left:
            self.log.append(f"{child.role} left with {child.process.poll()}")
        return left


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Start a supervisor in a thread: it, and what reloads a new configuration."""
    stop, reload = threading.Event(), threading.Event()
    threads: list[threading.Thread] = []
    made: list[Small] = []

    def renew(_before: Settings) -> Settings:
        return load(tmp_path / "node.toml")

    def start(text: str) -> tuple[Small, Callable[[str], None]]:
        settings = configured(tmp_path, text)
        supervisor = Small(None, settings, False, lambda _: None, renew, lambda *_: None)
        made.append(supervisor)
        threads.append(threading.Thread(target=supervisor.run, args=(stop, reload)))
        threads[-1].start()
        wait(lambda: settled(supervisor), 30, "its processes")
        supervisor.log.clear()

        def again(text: str) -> None:
            (tmp_path / "node.toml").write_text(text)
            before = supervisor.reloads
            reload.set()
            wait(lambda: supervisor.reloads > before and settled(supervisor), 30, "the reload")

        return supervisor, again

    yield start
    stop.set()
    for thread in threads:
        thread.join(30)
    for one in made:
        assert one.stop()


def settled(one: Small) -> bool:
    listening = all(c.listening.is_set() for c in one.children if c.role == "receiver")
    return bool(one.children) and listening and not one._due and not any(c.leaving for c in one.children)


def test_receivers_are_replaced_last_and_go_when_their_successors_listen(supervise: Any) -> None:
    supervisor, again = supervise('[receive]\nport = 11112\nae_title = "A"\nprocesses = 2\n')
    again('[receive]\nport = 11112\nae_title = "B"\n')
    told = supervisor.log
    assert told.index("start worker") > told.index("worker left with 0")
    assert told.index("start courier") > told.index("courier left with 0")
    assert told.index("start receiver") > max(told.index("start worker"), told.index("start courier"))
    assert told.index("receiver left with 7") > told.index("start receiver")  # told by SIGHUP: it may finish
    assert told.count("receiver left with 7") == 2
    assert told.count("start receiver") == 1
    assert sorted(child.role for child in supervisor.children) == ["courier", "receiver", "worker"]


def test_what_did_not_change_is_let_be(supervise: Any) -> None:
    supervisor, again = supervise("[receive]\nport = 11112\n")
    before = {child.role: child.process.pid for child in supervisor.children}
    again("[receive]\nport = 11112\n# a remark\n")
    again("[receive]\nport = 11112\n[web]\nenabled = true\n[retention]\ninputs_days = 3\n")
    after = {child.role: child.process.pid for child in supervisor.children}
    assert {role for role in before if after[role] != before[role]} == {"courier"}
    assert "web" in after
    again("[receive]\nport = 11112\n[retention]\ninputs_days = 3\n")
    assert "web" not in {child.role for child in supervisor.children}


@pytest.mark.parametrize(
    "wrong",
    ["[receive]\nprot = 1\n", "[receive]\nport = 11112\n[node]\ndata_dir = 'elsewhere'\n", "not toml"],
)
def test_a_wrong_file_changes_nothing_and_is_one_line(
    supervise: Any, wrong: str, capfd: pytest.CaptureFixture[str]
) -> None:
    supervisor, again = supervise("[receive]\nport = 11112\n")
    before = [child.process.pid for child in supervisor.children]
    capfd.readouterr()
    again(wrong)
    assert [child.process.pid for child in supervisor.children] == before
    assert supervisor.log == []
    (line,) = "".join(capfd.readouterr()).strip().splitlines()
    assert "the configuration is not taken, nothing changes" in line


def test_a_receiver_that_cannot_start_leaves_the_old_ones_in_their_place(supervise: Any) -> None:
    supervisor, again = supervise("[receive]\nport = 11112\n")
    before = {child.process.pid for child in supervisor.children if child.role == "receiver"}
    supervisor.failing = True
    again('[receive]\nport = 11112\nallowed_calling_ae = ["A"]\n')
    assert {child.process.pid for child in supervisor.children if child.role == "receiver"} == before
    supervisor.failing = False
    again('[receive]\nport = 11112\nallowed_calling_ae = ["B"]\n')
    assert not before & {child.process.pid for child in supervisor.children}


# ---------------------------------------------------------------- a whole node


def _association(port: int, calling: str) -> Any:
    ae = AE(ae_title=calling)
    ae.add_requested_context(CR, ExplicitVRLittleEndian)
    return ae.associate("127.0.0.1", port, ae_title="XRVNODE")


@pytest.mark.slow
def test_an_association_outlives_the_reload_of_its_node(tmp_path: Path) -> None:
    node = Node(tmp_path / "n", commissioning=True).start(seconds=240)
    assert node.process is not None
    try:
        text = node.config.read_text()
        open_one = _association(node.port, "PACS")
        assert open_one.send_c_store(radiograph(1)).Status == 0
        node.config.write_text(text.replace("[receive]", "[receive]\nprot = 1"))
        os.kill(node.process.pid, signal.SIGHUP)
        wait(lambda: "not taken" in node.log.read_text(), 60, "the wrong file to be told")
        node.config.write_text(text.replace("[receive]", '[receive]\nallowed_calling_ae = ["NEW"]'))
        os.kill(node.process.pid, signal.SIGHUP)
        wait(lambda: "a successor listens" in node.log.read_text(), 240, "the new receiver")
        assert open_one.is_established
        assert open_one.send_c_store(radiograph(2)).Status == 0
        assert not _association(node.port, "PACS").is_established
        new = _association(node.port, "NEW")
        assert new.send_c_store(radiograph(3)).Status == 0
        new.release()
        assert open_one.send_c_store(radiograph(4)).Status == 0
        open_one.release()
        assert len([line for line in node.log.read_text().splitlines() if "not taken" in line]) == 1
        store = node.store()
        with store.read() as db:
            (event,) = queries.events(db, event="node.reloaded")
            changed = [e["detail"]["changed"] for e in queries.events(db, event="configuration.changed")]
            assert event["detail"]["restarted"] == ["receiver", "courier"]
            assert changed[-1] == ["receive.allowed_calling_ae"]
            assert len(queries.study(db, "1.2.3.1")["instances"]) == 4
        store.close()
        assert node.stop() == 0
    finally:
        if node.process.poll() is None:
            node.kill()


def test_a_port_of_somebody_else_s_is_told_before_anything_starts(tmp_path: Path) -> None:
    from xrv_node.receive import server

    with server.socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = configured(tmp_path, f"[receive]\nport = {other.getsockname()[1]}\n")
        server.PREDECESSOR_SECONDS, before = 0.0, server.PREDECESSOR_SECONDS
        try:
            with pytest.raises(ConfigError, match="cannot listen on"):
                server.require_free(taken.receive)
        finally:
            server.PREDECESSOR_SECONDS = before
