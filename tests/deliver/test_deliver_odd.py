"""Archives that differ from the book get their results, and every wait for one that does not answer has an end."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

import pytest
from deliver_cases import result
from deliver_peer import destination, only
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from odd_archive import CLASS, GARBAGE, IMPLICIT, LENGTH, Odd, Talk, answering, context, item, listening, pdu
from worded import said

from xrv_node.db import commitments
from xrv_node.db.store import Store
from xrv_node.deliver import scu
from xrv_node.deliver.association import NotNowError
from xrv_node.deliver.attempt import Outcome
from xrv_node.deliver.dimse import DimseSender
from xrv_node.errors import DestinationError
from xrv_node.jobs import commitment
from xrv_node.network import exchange, negotiation, outgoing, terms, values, wire
from xrv_node.network.wire import BrokenOffError
from xrv_node.priors.dimse import DimseArchive
from xrv_node.settings.priors import DimsePriors
from xrv_node.values import VERIFICATION

ROLE = item(0x54, struct.pack(">H", len(VERIFICATION)), VERIFICATION.encode(), b"\0\0")
SEG = "1.2.840.10008.5.1.4.1.1.66.4"


def roles(scu_role: int, scp_role: int) -> bytes:
    return item(0x54, struct.pack(">H", len(SEG)), SEG.encode(), bytes((scu_role, scp_role)))


def user(*items: bytes) -> Odd:
    return Odd(user=LENGTH + CLASS + b"".join(items))


ODD: dict[str, Callable[[], Odd]] = {
    "version name with a NUL": lambda: user(item(0x55, b"PACS_1\0")),
    "version name of 23 characters": lambda: user(item(0x55, b"PACSSERVER_VERSION_2024")),
    "version name of 17": lambda: user(item(0x55, b"V" * 17)),
    "version name that is empty": lambda: user(item(0x55)),
    "version name that is no text": lambda: user(item(0x55, GARBAGE)),
    "no User Information": lambda: Odd(user=b""),
    "User Information that is cut short": lambda: Odd(user=LENGTH + b"\x55\0\0\x20AB"),
    "no class UID": lambda: Odd(user=LENGTH),
    "class UID that is none": lambda: Odd(user=LENGTH + item(0x52, b"VENDOR")),
    "no longest PDU": lambda: Odd(user=CLASS),
    "any longest PDU": lambda: Odd(user=item(0x51, bytes(4))),
    "a longest PDU of 64": lambda: Odd(user=item(0x51, struct.pack(">L", 64))),
    "a longest PDU of an odd number": lambda: Odd(user=item(0x51, struct.pack(">L", 4097))),
    "a longest PDU of 4 GB": lambda: Odd(user=item(0x51, b"\xff" * 4)),
    "roles 0 and 0": lambda: user(roles(0, 0)),
    "roles 1 and 0": lambda: user(roles(1, 0)),
    "roles 0 and 1": lambda: user(roles(0, 1)),
    "roles of another class": lambda: user(ROLE),
    "a role that is cut short": lambda: user(item(0x54, b"\0\x19", SEG.encode())),
    "asynchronous operations": lambda: user(item(0x53, b"\0\1\0\1")),
    "an answer on the user's identity": lambda: user(item(0x59, b"\0\0")),
    "AE titles with NULs": lambda: Odd(called=b"PACS".ljust(16, b"\0")),
    "AE titles that are no text": lambda: Odd(called=GARBAGE),
    "AE titles that are blank": lambda: Odd(called=b""),
    "application context with a NUL": lambda: Odd(application=item(0x10, b"1.2.840.10008.3.1.1.1\0")),
    "no application context": lambda: Odd(application=b""),
    "an item of an unknown type": lambda: Odd(behind=item(0x99, b"abc")),
    "bytes behind the last item": lambda: Odd(behind=b"\0\0"),
    "transfer syntaxes with a NUL": lambda: Odd(accept=lambda _, n, s: context(n, s + b"\0")),
    "no transfer syntax": lambda: Odd(accept=lambda _, n, s: item(0x21, bytes((n, 0, 0, 0)))),
    "a transfer syntax that was not proposed": lambda: Odd(accept=lambda _, n, s: context(n, IMPLICIT)),
    "a context that is refused without a transfer syntax": lambda: Odd(
        accept=lambda p, n, s: context(n, s) if p else item(0x21, bytes((n, 0, 3, 0)))
    ),
    "a context that is not answered": lambda: Odd(accept=lambda p, n, s: context(n, s) if p else b""),
    "a context that nobody proposed": lambda: Odd(
        accept=lambda p, n, s: context(n, s) + (b"" if p else context(99, s))
    ),
    "no SOP class in a response": lambda: Odd(fields={0x0002: None}),
    "no Message ID in a response": lambda: Odd(fields={0x0120: None}),
    "another Message ID in a response": lambda: Odd(fields={0x0120: b"\xe7\3"}),
    "a response that does not say that it has no data set": lambda: Odd(fields={0x0800: None}),
    "a response that says it has a data set": lambda: Odd(fields={0x0800: b"\2\1"}),
    "a response with a data set behind": lambda: Odd(data_behind=True),
    "a response with a long comment": lambda: Odd(fields={0x0902: b"Z" * 120}),
    "a response with a comment that is no text": lambda: Odd(fields={0x0902: GARBAGE}),
    "a response with an element of its own": lambda: Odd(fields={0x5110: b"\1\0\0\0"}),
    "responses in pieces": lambda: Odd(pieces=9),
    "one response an association": lambda: Odd(hangs_up=True),
    "one response, then A-ABORT": lambda: Odd(hangs_up=True, last_word=bytes((7, 0, 0, 0, 0, 4, 0, 0, 2, 0))),
    "one response, then a release": lambda: Odd(
        hangs_up=True, last_word=bytes((5, 0, 0, 0, 0, 4, 0, 0, 0, 0))
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", ODD)
def test_an_archive_that_differs_from_the_book_gets_its_results(tmp_path: Path, what: str) -> None:
    odd = ODD[what]()
    with listening(odd.serve) as port:
        sender = DimseSender(destination(port, send=["seg"]), "XRVNODE")
        attempts = list(sender.send([result(tmp_path, 1), result(tmp_path, 2)]))
        sender.close()
        assert [(a.outcome, a.reason) for a in attempts] == [(Outcome.DELIVERED, None)] * 2
        assert len(odd.stored) == 2
        if not odd.hangs_up:
            *echoed, kept = DimseSender(destination(port, send=["seg"]), "XRVNODE").check()
            assert set(echoed) <= {"C-ECHO: 0x0000"}
            assert kept.startswith("seg: Segmentation Storage: ")


def test_a_response_without_a_status_proves_nothing(tmp_path: Path) -> None:
    with listening(Odd(fields={0x0900: None}).serve) as port:
        attempt = only(DimseSender(destination(port), "XRVNODE").send([result(tmp_path)]))
    assert attempt.outcome == Outcome.TRANSIENT
    assert said(attempt.reason) == "the peer answered without a status"


# ---------------------------------------------------------------- what is not DICOM, and every wait


def endless(connection: socket.socket) -> None:
    """A PDU of 4 GB, as fast as it is taken."""
    connection.sendall(struct.pack(">BxL", 2, 0xFFFFFFFF))
    while True:
        connection.sendall(bytes(65536))


def drip(connection: socket.socket) -> None:
    connection.sendall(struct.pack(">BxL", 2, 200))
    while True:
        connection.sendall(b"\0")
        sleep(0.05)


def silent(connection: socket.socket) -> None:
    sleep(30)


WRONG: dict[str, tuple[Talk, str]] = {
    "aborts": (
        lambda c: c.sendall(bytes((7, 0, 0, 0, 0, 4, 0, 0, 2, 1))),
        "A-ABORT came (source 2, reason 1)",
    ),
    "closes": (lambda c: None, "the connection was closed without an answer"),
    "web": (
        lambda c: c.sendall(b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n"),
        r"something that is not DICOM came: 'HTTP/1.1 400 Bad Request\r\nServer",
    ),
    "TLS": (lambda c: c.sendall(b"\x15\3\3\0\2\2F"), r"not DICOM came: '\x15\x03\x03"),
    "SSH": (lambda c: c.sendall(b"SSH-2.0-x\r\n"), r"not DICOM came: 'SSH-2.0-x\r\n'"),
    "short": (lambda c: c.sendall(bytes((2, 0, 0, 0, 0, 4, 0, 1, 0, 0))), "shorter than its fixed part"),
    "data": (lambda c: c.sendall(bytes((4, 0, 0, 0, 0, 0))), "a PDU of type 4 in answer to the request"),
    "4 GB": (endless, "a PDU of 4294967295 bytes, not 131072 at most"),
    "silent": (silent, "no answer within 1 s"),
    "drip": (drip, "no answer within 1 s"),
}


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second for each answer, and one for a release."""
    monkeypatch.setattr(exchange, "RELEASE_SECONDS", 1)
    monkeypatch.setattr("xrv_node.deliver.dimse.CHECK_SECONDS", 3)
    monkeypatch.setattr(terms, "ANSWER_SECONDS", 1)


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.usefixtures("hasty")
def test_what_a_peer_answers_in_place_of_an_acceptance_is_told(tmp_path: Path, what: str) -> None:
    talk, words = WRONG[what]
    began = monotonic()
    with answering(talk) as port:
        attempt = only(DimseSender(destination(port), "XRVNODE").send([result(tmp_path)]))
        assert attempt.outcome == Outcome.TRANSIENT
        assert said(attempt.reason).startswith(f"no association with ARCHIVE at 127.0.0.1:{port}: ")
        assert words in said(attempt.reason)
        with pytest.raises(DestinationError) as sent:
            next(scu.send(scu.Peer("X", "127.0.0.1", port), [result(tmp_path).path], calling_ae="Y"))
        assert words in str(sent.value)
        section = DimsePriors(ae_title="X", host="127.0.0.1", port=port, timeout_seconds=1)
        with pytest.raises(DestinationError) as asked:
            DimseArchive(section, "XRVNODE")
        assert words in said(asked.value.args[0])
    assert monotonic() - began < 60  # far from the minutes that a peer could hold it


@pytest.mark.usefixtures("hasty")
def test_a_port_that_nobody_listens_on_is_told() -> None:
    with pytest.raises(DestinationError, match="Connection refused: is it running and reachable"):
        DimseSender(destination(1), "XRVNODE").check()


def test_a_host_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object) -> socket.socket:
        raise TimeoutError("timed out")

    monkeypatch.setattr(outgoing.socket, "create_connection", unreachable)
    with pytest.raises(DestinationError, match="no answer within 10 s: is it running and reachable"):
        DimseSender(destination(1), "XRVNODE").check()


def after_acceptance(talk: Talk) -> Talk:
    def serve(connection: socket.socket) -> None:
        connection.sendall(Odd()._acceptance(pdu(connection)[1]))
        talk(connection)

    return serve


LATER: dict[str, tuple[Talk, str]] = {
    "aborts": (
        lambda c: (pdu(c), c.sendall(bytes((7, 0, 0, 0, 0, 4, 0, 0, 0, 0))), None)[-1],
        "A-ABORT came (source 0, reason 0)",
    ),
    "closes": (lambda c: (pdu(c), None)[-1], "the connection"),
    "releases": (
        lambda c: (pdu(c), c.sendall(bytes((5, 0, 0, 0, 0, 4, 0, 0, 0, 0))), sleep(0.5))[-1],
        "it released the association before it answered",
    ),
    "silent": (silent, "no answer within "),
    "4 GB": (endless, "a PDU of 4294967295 bytes, not 131072 at most"),
    "empty": (lambda c: (c.sendall(bytes((4, 0, 0, 0, 0, 0))), silent(c))[-1], "a data PDU without a value"),
    "junk": (
        lambda c: (c.sendall(b"".join((values.command(1, b"\0" * 30, 100),))), silent(c))[-1],
        "the peer answered without a status",
    ),
}


@pytest.mark.parametrize("what", LATER)
@pytest.mark.usefixtures("hasty")
def test_what_a_peer_does_in_place_of_a_response_is_told(
    tmp_path: Path, store: Store, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk, words = LATER[what]
    monkeypatch.setattr(outgoing, "SLOWEST", 1 << 20)
    with listening(after_acceptance(talk)) as port:
        attempt = only(DimseSender(destination(port, send=["seg"]), "XRVNODE").send([result(tmp_path)]))
        assert attempt.outcome == Outcome.TRANSIENT
        assert words in said(attempt.reason)
        lines = DimseSender(destination(port, send=["seg"]), "XRVNODE").check()
        assert lines[0].startswith("C-ECHO: ")
        assert "0x0000" not in lines[0]


@pytest.mark.usefixtures("hasty")
def test_a_peer_that_does_not_read_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "SLOWEST", 64 << 20)
    stored = result(tmp_path)
    with stored.path.open("ab") as file:
        file.write(bytes(32 << 20))  # more than the kernel takes for it
    with listening(after_acceptance(silent)) as port:
        attempt = only(DimseSender(destination(port, send=["seg"]), "XRVNODE").send([stored]))
    assert attempt.outcome == Outcome.TRANSIENT
    assert "what is sent is not read" in said(attempt.reason)


@pytest.mark.usefixtures("hasty")
def test_a_peer_that_never_confirms_a_release_is_left(tmp_path: Path) -> None:
    class Stubborn(Odd):
        def serve(self, connection: socket.socket) -> None:
            connection.sendall(self._acceptance(pdu(connection)[1]))
            silent(connection)

    with listening(Stubborn().serve) as port:
        association = open_association(port)
        association.release()
        assert not association.is_open()


def open_association(port: int) -> outgoing.Association:
    connection = outgoing.connect("127.0.0.1", port, None, 5)
    contexts = [(VERIFICATION, ["1.2.840.10008.1.2"])]
    return outgoing.Association(connection, "A", "B", contexts, terms.Terms(seconds=1))


@pytest.mark.usefixtures("hasty")
def test_an_archive_that_does_not_answer_a_request_for_commitment_is_told(store: Store) -> None:
    wanted = [commitments.Wanted(1, SEG, "1.2.3")]
    for talk, words in (WRONG["aborts"], WRONG["silent"]):
        with answering(talk) as port, pytest.raises(NotNowError) as refused:
            commitment.ask(destination(port), "XRVNODE", store, wanted)
        assert words in str(refused.value)


@hypothesis_settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=300),
    st.lists(st.tuples(st.integers(0, 400), st.binary(min_size=1, max_size=4)), max_size=6),
)
def test_no_answer_breaks_the_reader(junk: bytes, changes: list[tuple[int, bytes]]) -> None:
    """Of whatever comes, an answer is read or refused in words."""
    proposal = terms.proposal([(SEG, ["1.2.840.10008.1.2.1"])])
    titles = b"A".ljust(16) * 2
    good = bytearray(
        negotiation.acceptance(titles, [negotiation.Answered(1, 0, "1.2.840.10008.1.2.1")], 16384, {})
    )
    for at, put in changes:
        good[at : at + len(put)] = put
    for body in (junk, bytes(good[6:]), bytes(good[6:]) + junk):
        for read in (negotiation.read_acceptance, negotiation.read_request):
            try:
                answer = read(body)
            except ValueError:
                continue
            else:
                if isinstance(answer, negotiation.Acceptance):
                    assert len(list(terms.accepted(proposal, answer.contexts))) <= 1


class Lines:
    """A connection on which everything came already."""

    def __init__(self, data: bytes) -> None:
        self._left = memoryview(data)

    def recv_into(self, view: memoryview) -> int:
        count = min(len(view), len(self._left))
        view[:count] = self._left[:count]
        self._left = self._left[count:]
        return count

    def recv(self, count: int) -> bytes:
        data, self._left = bytes(self._left[:count]), self._left[count:]
        return data

    def sendall(self, _data: bytes) -> None: ...
    def settimeout(self, _seconds: float) -> None: ...
    def setsockopt(self, *_option: int) -> None: ...
    def shutdown(self, _how: int) -> None: ...
    def close(self) -> None: ...


ACCEPTANCE = negotiation.acceptance(
    b"A".ljust(16) * 2, [negotiation.Answered(1, 0, "1.2.840.10008.1.2.1")], 16384, {}
)


@hypothesis_settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.tuples(st.integers(0, 8), st.binary(max_size=60)).map(
                lambda one: struct.pack(">BxL", one[0], len(one[1])) + one[1]
            ),
            st.tuples(st.integers(0, 3), st.binary(max_size=60)).map(
                lambda one: struct.pack(">BxLLBB", 4, len(one[1]) + 6, len(one[1]) + 2, 1, one[0]) + one[1]
            ),
        ),
        max_size=6,
    ),
    st.booleans(),
)
def test_whatever_a_peer_sends_ends_in_an_answer_or_in_words(pdus: list[bytes], accepts: bool) -> None:
    came = (ACCEPTANCE if accepts else b"") + b"".join(pdus)
    try:
        association = outgoing.Association(
            Lines(came),
            "A",
            "B",
            [(SEG, ["1.2.840.10008.1.2.1"])],
            terms.Terms(),  # type: ignore[arg-type]
        )
        if association.accepted:
            association.ask(association.accepted[0], 1, {0x0002: SEG}, (bytes(10),))
            list(association.ask_many(association.accepted[0], 0x20, {0x0002: SEG}, (bytes(10),)))
    except (BrokenOffError, terms.RejectedError) as error:
        told = str(error)
    else:
        told = "an answer"
    assert told


def test_what_is_in_an_object_is_never_shown() -> None:
    """Once a PDU came, bytes out of place may be a patient's name."""
    line = wire.Wire(Lines(ACCEPTANCE + b"MUSTERMANN^MAX" * 5), 1)  # type: ignore[arg-type]
    line.read()
    with pytest.raises(BrokenOffError) as broken:
        line.read()
    assert str(broken.value) == "no PDU has type 77"
