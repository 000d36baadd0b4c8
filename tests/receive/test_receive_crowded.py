"""Neighbours who take places and files and do no work: who comes with work is served all the same."""

from __future__ import annotations

import errno
import os
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from made import CR, radiograph
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import Verification
from serving import wait
from worded import said

from xrv_node import settings as configuration
from xrv_node.db import queries
from xrv_node.db.store import Store
from xrv_node.network import negotiation
from xrv_node.network.negotiation import Proposed
from xrv_node.receive import peer_limits, server
from xrv_node.receive.peer_limits import Crowd, Pace, Waiting, neighbourhood
from xrv_node.spool import Spool

HOST = "127.0.0.1"
ECHO = negotiation.request("XRVNODE", "IDLER", [Proposed(1, Verification, ("1.2.840.10008.1.2",))], 16384, {})
Start = Callable[[str], int]


@pytest.fixture
def listen(start: Start) -> Start:
    """Start a receiver with more keys of ``[receive]``; returns the port."""
    return lambda keys: start(f'[node]\ndata_dir = "."\n[receive]\nport = 0\n{keys}\n')


@pytest.fixture
def idlers() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def connected(port: int, number: int) -> socket.socket:
    """A connection from the address 127.0.0.`number`."""
    return socket.create_connection((HOST, port), timeout=10, source_address=(f"127.0.0.{number}", 0))


def associated(port: int, number: int) -> tuple[socket.socket, int]:
    """The same with an association, and the type of the answer."""
    connection = connected(port, number)
    connection.sendall(ECHO)
    return connection, connection.recv(1)[0]


def honest(port: int, number: int = 1) -> float:
    """Seconds that a well-behaved sender needs for an association and an object."""
    began = monotonic()
    peer = association(port)
    assert peer.is_established
    assert peer.send_c_store(radiograph(number)).Status == 0
    took = monotonic() - began
    peer.release()
    return took


def association(port: int, called: str = "XRVNODE") -> Association:
    ae = AE(ae_title="HONEST")
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 30
    ae.add_requested_context(CR, ExplicitVRLittleEndian)
    ae.add_requested_context(Verification)
    return ae.associate(HOST, port, ae_title=called)


def refusals(store: Store) -> list[str]:
    with store.read() as db:
        return [said(e["detail"]["remedy"]) for e in queries.events(db, event="association.refused")]


# ---------------------------------------------------------------- places


def test_two_addresses_that_idle_leave_places_for_who_has_none(
    listen: Start, idlers: ExitStack, store: Store
) -> None:
    port = listen("")
    answers = []
    for number in (2, 3):
        for _ in range(16):
            connection, answer = associated(port, number)
            idlers.enter_context(connection)
            answers.append(answer)
    assert answers == [2] * 24 + [3] * 8
    honest(port)
    line = (
        "the last 8 of receive.max_associations = 32 are kept for addresses that have none; it may try again"
    )
    wait(lambda: refusals(store), 10, "the reason on record")
    assert refusals(store) == [line]


def test_who_is_refused_takes_nobodys_place(listen: Start, idlers: ExitStack) -> None:
    """A refused caller reads its answer when it likes, and hangs up when it likes."""
    port = listen('max_associations = 2\nallowed_calling_ae = ["HONEST"]')
    for _ in range(6):
        connection, answer = associated(port, 2)
        idlers.enter_context(connection)
        assert answer == 3
    honest(port)


def test_who_only_echoes_is_ended_and_who_works_is_not(listen: Start, store: Store) -> None:
    port = listen("idle_seconds = 1")
    worker, idler = association(port), association(port)
    number = 0

    def ended() -> bool:
        nonlocal number
        number += 1
        if worker.is_established:
            assert worker.send_c_store(radiograph(number)).Status == 0
            assert worker.send_c_echo().Status == 0
        if idler.is_established:
            idler.send_c_echo()
        return not idler.is_established

    wait(ended, 20, "who only echoes to be ended", pause=0.3, advances=lambda: number)
    assert worker.is_established
    worker.release()
    wait(lambda: refusals(store), 10, "the reason on record")
    assert refusals(store) == ["nothing but C-ECHO came for 1 s (receive.idle_seconds)"]


def test_who_does_nothing_makes_way_where_every_place_is_taken(
    listen: Start, idlers: ExitStack, store: Store
) -> None:
    """So many addresses as there are places, an association each, echoing."""
    port = listen("max_associations = 4")
    lines = [associated(port, number) for number in range(2, 6)]
    for connection, answer in lines:
        idlers.enter_context(connection)
        assert answer == 2
    assert honest(port) < 60  # after a second: until then they have just come
    wait(lambda: refusals(store), 10, "the reason on record")
    assert refusals(store)[0].startswith("it did nothing while all 4 associations were taken")


def test_no_place_is_taken_by_who_may_not_come() -> None:
    crowd = Crowd()
    with crowd.visit("10.0.0.1", lambda *_: None):
        with crowd.visit("10.0.0.1", lambda everybody, its_own: (everybody, its_own)) as refusal:
            assert refusal == (2, 2)
            assert crowd.size == 1
        with crowd.visit("10.0.0.2", lambda everybody, its_own: (everybody, its_own)) as refusal:
            assert refusal == (2, 1)
    assert crowd.size == 0


# ---------------------------------------------------------------- connections


def test_silent_connections_of_many_addresses_make_way(
    listen: Start, idlers: ExitStack, store: Store
) -> None:
    port = listen("max_associations = 4")
    silent = [idlers.enter_context(connected(port, number)) for number in range(2, 22) for _ in range(3)]
    honest(port)
    gone = [c for c in silent if hung_up(c)]
    assert len(silent) - len(gone) <= 8  # twice max_associations
    wait(lambda: refusals(store), 10, "the reason on record")
    assert refusals(store)[0].startswith(
        "it said nothing while 8 connections without an association were open"
    )


def hung_up(connection: socket.socket) -> bool:
    connection.settimeout(0.05)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True


def test_who_has_most_loses_the_oldest() -> None:
    waiting, pairs = Waiting(3), [socket.socketpair() for _ in range(4)]
    try:
        for (ours, _), address in zip(pairs, ("10.0.0.1", "10.0.0.2", "10.0.0.2", "10.0.0.3"), strict=True):
            waiting.add(ours, address)
        assert [hung_up(theirs) for _, theirs in pairs] == [False, True, False, False]
        assert [waiting.remove(ours) for ours, _ in pairs] == [True, False, True, True]
    finally:
        for pair in pairs:
            for one in pair:
                one.close()


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("2001:db8:0:1:ffff::7", "2001:db8:0:1::/64"),
        ("2001:db8:0:1::9", "2001:db8:0:1::/64"),
        ("2001:db8:0:2::9", "2001:db8:0:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("a pipe", "a pipe"),
    ],
)
def test_a_host_of_ipv6_has_a_whole_network(address: str, counted: str) -> None:
    assert neighbourhood(address) == counted


def test_turns_are_of_a_network_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_limits, "ALLOWANCE_SECONDS", 0.0)
    pace = Pace(1)
    assert pace.turn("2001:db8::1") == 0.0
    assert pace.turn("2001:db8::2") > 50
    assert pace.turn("2001:db8:1::1") == 0.0


def test_a_receiver_asks_for_as_many_files_as_it_may_have(listen: Start) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, before[0]), before[1]))
    try:
        listen("")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert hard == before[1]
    assert soft == (server.MOST_FILES if hard == resource.RLIM_INFINITY else min(server.MOST_FILES, hard))


def test_without_a_file_to_spare_it_rests_and_goes_on(
    listen: Start, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    port, tries = listen(""), []

    def full(_self: Any) -> Any:
        tries.append(monotonic())
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patched:
        patched.setattr(server.socketserver.TCPServer, "get_request", full)
        with connected(port, 2):
            sleep(3 * server.FULL_SECONDS)
    assert 1 <= len(tries) <= 5
    assert "no connection can be accepted" in "".join(capsys.readouterr())
    honest(port)


# ---------------------------------------------------------------- what is told of it


def test_refusals_again_and_again_are_two_rows(
    store: Store, spool: Spool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "node.toml"
    config.write_text('[node]\ndata_dir = "."\n[receive]\nport = 0\n')
    started = server.start(configuration.load(config), store, spool)
    port = int(started.server_address[1])
    peer = association(port)
    for number in range(20):
        assert peer.send_c_store(radiograph(number, StudyInstanceUID="../x")).Status == 0xC000
    peer.release()
    for _ in range(10):
        assert not association(port, called="OTHER").is_established
    honest(port, 99)
    server.drain(started, 5)
    with store.read() as db:
        events = list(queries.events(db))
    found = [(e["event"], e["detail"].get("repeated")) for e in events if "refused" in e["event"]]
    assert sorted(found, key=str) == [
        ("association.refused", 9),
        ("association.refused", None),
        ("instance.refused", 19),
        ("instance.refused", None),
    ]
    (count,) = [e["detail"] for e in events if e["detail"].get("repeated") == 19]
    assert count["instances"] == [f"1.2.3.1.1.{number}" for number in range(1, 20)]
    text = "".join(capsys.readouterr())
    assert text.count("[warning  ] refused") == text.count("[warning  ] association refused") == 1
