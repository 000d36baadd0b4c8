"""The conformance statement is what the code does: its tables are the code's, its sentences hold on the wire."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conformance_facts import ANSWERS, PRIORS_CLASSES
from conformance_tables import MARKED, TABLES, decodable, filled, offered
from pydicom.uid import UID, AllTransferSyntaxes
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import Verification
from report_cases import frontal, header, outcome

import xrv_node
from xrv_node import report, tls
from xrv_node import settings as configuration
from xrv_node.db import commitments
from xrv_node.db.store import Store
from xrv_node.deliver.dimse import SYNTAXES, DimseSender
from xrv_node.errors import DestinationError
from xrv_node.frontal.rules import load_rules
from xrv_node.jobs import commitment
from xrv_node.network import terms
from xrv_node.network.wire import MAXIMUM_PDU
from xrv_node.priors.dimse import DimseArchive
from xrv_node.receive import association as acse
from xrv_node.receive import dimse, server
from xrv_node.result_kinds import KINDS, sop_classes
from xrv_node.settings.destinations import DimseDestination
from xrv_node.settings.priors import DimsePriors
from xrv_node.spool import Spool
from xrv_node.values import STORAGE_COMMITMENT, VERIFICATION, Style

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
DX = "1.2.840.10008.5.1.4.1.1.1.1"


def says(sentence: str) -> bool:
    """Whether the document has these words, however its lines break."""
    return sentence in re.sub(r"\s+", " ", TEXT)


def test_the_tables_are_the_codes() -> None:
    assert filled(TEXT) == TEXT, "docs/conformance.md is behind the code: run `make conformance`"


def test_each_table_is_there_once() -> None:
    assert sorted(m[2] for m in MARKED.finditer(TEXT)) == sorted(function.__name__ for function in TABLES)


def test_a_changed_cell_is_put_right() -> None:
    assert filled(TEXT.replace("0xA700", "0xA701")) == TEXT


@pytest.fixture
def port(store: Store, spool: Spool, tmp_path: Path) -> Iterator[int]:
    """That the receiver listens on."""
    path = tmp_path / "node.toml"
    path.write_text("[receive]\nport = 0\n")
    started = server.start(configuration.load(path), store, spool)
    yield int(started.server_address[1])
    server.drain(started, 1)


def associate(port: int, contexts: list[tuple[str, list[str]]]) -> Association:
    ae = AE(ae_title="PACS")
    for uid, transfer_syntaxes in contexts:
        ae.add_requested_context(uid, transfer_syntaxes)
    role = build_role(STORAGE_COMMITMENT, scp_role=True)
    made = ae.associate("127.0.0.1", port, ae_title="XRVNODE", ext_neg=[role])
    assert made.is_established
    return made


def accepted_by(port: int, contexts: list[tuple[str, list[str]]]) -> list[tuple[str, str]]:
    """What the receiver accepts of these contexts: SOP class and transfer syntax."""
    made = associate(port, contexts)
    found = [(str(c.abstract_syntax), str(c.transfer_syntax[0])) for c in made.accepted_contexts]
    made.release()
    return found


def test_the_receiver_takes_any_storage_class_in_the_first_transfer_syntax_that_decodes(port: int) -> None:
    private = "1.2.826.0.1.3680043.8.498.1"
    contexts = [(DX, [str(uid)]) for uid in AllTransferSyntaxes]
    contexts += [(private, [str(SYNTAXES[0])]), (DX, [*map(str, SYNTAXES), private])]
    expected = [(uid, first[0]) for uid, first in contexts]
    contexts.append((DX, [private, *map(str, SYNTAXES)]))
    assert accepted_by(port, contexts) == [*expected, (DX, str(SYNTAXES[0]))]


def test_the_receiver_offers_verification_and_no_query(port: int) -> None:
    find = PRIORS_CLASSES[0][0]
    four = [str(uid) for uid in AllTransferSyntaxes if not uid.is_encapsulated][:4]
    assert says(
        "Implicit and Explicit VR Little Endian, Deflated Explicit VR Little Endian, Explicit VR Big Endian"
    )
    contexts = [(service, [uid]) for service in (VERIFICATION, STORAGE_COMMITMENT) for uid in four]
    assert accepted_by(port, [*contexts, (find, [four[0]])]) == [(uid, first[0]) for uid, first in contexts]


def test_how_the_receiver_introduces_itself(port: int) -> None:
    made = associate(port, [(VERIFICATION, [str(SYNTAXES[0])])])
    acceptor: Any = made.acceptor
    assert says(f"| maximum PDU size received | {acceptor.maximum_length} bytes |")
    assert says(f"Implementation Class UID | {acceptor.implementation_class_uid} |")
    assert says(f"Implementation Version Name | {acceptor.implementation_version_name} |")
    assert acceptor.asynchronous_operations == (1, 1)
    made.release()


@contextmanager
def archive(*classes: str) -> Iterator[tuple[int, list[Any]]]:
    """A peer that keeps the requests for associations."""
    seen: list[Any] = []
    ae = AE(ae_title="ARCHIVE")
    for uid in (VERIFICATION, *classes):
        ae.add_supported_context(uid)

    def requested(event: Any) -> None:
        seen.append(event.assoc.requestor)

    started: Any = ae.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_REQUESTED, requested)]
    )
    yield started.server_address[1], seen
    started.shutdown()


def contexts_of(requestor: Any) -> list[tuple[str, list[UID]]]:
    primitive = requestor.primitive.presentation_context_definition_list
    return [(str(c.abstract_syntax), list(c.transfer_syntax)) for c in primitive]


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("seg_type", ["binary", "labelmap"])
def test_the_courier_proposes_what_the_table_says(seg_type: Any, deflate: bool) -> None:
    with archive() as (port, seen):
        section = DimseDestination(
            name="pacs", ae_title="ARCHIVE", host="127.0.0.1", port=port, send=tuple(KINDS),
            seg_type=seg_type, deflate=deflate, commitment=True,
        )  # fmt: skip
        with pytest.raises(DestinationError):  # it takes none of the classes
            DimseSender(section, "XRVNODE").check()
    kinds = ((k, uid) for k in KINDS for uid in sop_classes(k, Style(seg_type=seg_type)))
    wanted = dict.fromkeys((uid, syntax) for k, uid in kinds for syntax in offered(k, deflate=deflate))
    assert contexts_of(seen[0]) == [
        (VERIFICATION, SYNTAXES),
        (STORAGE_COMMITMENT, SYNTAXES),
        *((uid, [syntax]) for uid, syntax in wanted),
    ]
    assert seen[0].maximum_length == MAXIMUM_PDU


def test_priors_proposes_what_the_table_says() -> None:
    with archive(*(uid for uid, _ in PRIORS_CLASSES)) as (port, seen):
        section = DimsePriors(ae_title="ARCHIVE", host="127.0.0.1", port=port)
        DimseArchive(section, "XRVNODE").close()
    assert contexts_of(seen[0]) == [(uid, SYNTAXES) for uid, _ in PRIORS_CLASSES]
    assert {uid for uid, role in seen[0].role_selection.items() if role.scp_role} == {
        uid for uid, role in PRIORS_CLASSES if role.startswith("SCP")
    }


@pytest.fixture(scope="module")
def studied() -> Any:
    return outcome(frontal(header()))


@pytest.mark.parametrize("kind", KINDS)
def test_objects_are_what_the_table_says(kind: str, studied: Any) -> None:
    (found, *_) = report.build(studied, [kind])
    assert found.dataset.Modality == KINDS[kind].modality
    assert found.dataset.SOPClassUID in KINDS[kind].sop_classes
    claimed = [item.TemplateIdentifier for item in found.dataset.get("ContentTemplateSequence", ())]
    assert claimed == re.findall(r"TID (\d+)", KINDS[kind].template)[:1]
    assert not [element for element in found.dataset.iterall() if element.tag.is_private]
    assert found.dataset.SOPInstanceUID.startswith("2.25.")


def test_geometry_of_segmentations(studied: Any) -> None:
    (nominal,) = report.build(studied, ["seg"])
    (none,) = report.build(studied, ["seg"], Style(seg_geometry="none"))
    shared, frame = (nominal.dataset[f"{w}FunctionalGroupsSequence"].value[0] for w in ("Shared", "PerFrame"))
    there = {element.keyword: element.value for group in (shared, frame) for element in group.iterall()}
    assert there["ImageOrientationPatient"] == [1, 0, 0, 0, 1, 0]
    assert there["ImagePositionPatient"] == [0, 0, 0]
    assert there["SliceThickness"] == 1
    assert "FrameOfReferenceUID" in nominal.dataset
    assert "PatientOrientation" not in nominal.dataset
    absent = {
        "FrameOfReferenceUID",
        "ImageOrientationPatient",
        "ImagePositionPatient",
        "PixelSpacing",
        "SliceThickness",
    }
    assert absent.isdisjoint(element.keyword for element in none.dataset.iterall())
    assert "PatientOrientation" in none.dataset
    for made in (nominal, none):
        assert all("DerivationImageSequence" in f for f in made.dataset.PerFrameFunctionalGroupsSequence)


def test_numbers_in_sentences() -> None:
    assert says(f"to the association request, TLS included | {server.ARTIM_SECONDS:.0f} s |")
    assert says(f"not less than {acse.SLOWEST} bytes a second")
    assert says(f"0x{dimse.UNRECOGNIZED_OPERATION:04X}, unrecognized operation")
    assert says(f"Of xrv-node {xrv_node.__version__},")
    assert says(
        f"connection {terms.CONNECT_SECONDS} s, association, DIMSE and network {terms.ANSWER_SECONDS} s"
    )
    assert says(f"for at most {commitments.MOST} objects")
    assert says(f"waited for {commitment.ANSWER_SECONDS:.0f} s on the same association")
    assert commitments.KEPT_ASKING.days == 7
    assert says("for seven days")
    assert says(f"`{tls.CIPHERS}`")
    size = load_rules().minimum_matrix
    assert says(f"{size} x {size}")
    assert {"0x0000", "0x0122", "0xA700", "0xA900", "0xC000", "0x0110"} == {
        f"0x{status:04X}" for status in ANSWERS
    }


def test_every_transfer_syntax_of_the_design_is_decoded() -> None:
    """JPEG lossless, JPEG-LS, JPEG 2000, HTJ2K, RLE, deflated, big endian: no decoder is missing here."""
    ends = {
        "1",
        "1.99",
        "2",
        "4.50",
        "4.51",
        "4.57",
        "4.70",
        "4.80",
        "4.81",
        "4.90",
        "4.91",
        "4.201",
        "4.202",
        "4.203",
        "5",
    }
    assert {f"1.2.840.10008.1.2.{end}" for end in ends} <= {str(uid) for uid in decodable()}
    assert str(Verification) == VERIFICATION
