"""One received object: check it, keep it, decide about it, record it."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID
from pynetdicom.dsutils import create_file_meta

from xrv_node import durable, intact, keyed, priority, reasons
from xrv_node.db.repeats import Repeats
from xrv_node.db.store import Store, is_busy, no_room
from xrv_node.disk import Gate
from xrv_node.errors import RefusedError
from xrv_node.frontal.rules import load_rules
from xrv_node.product import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from xrv_node.radiograph.header import MAX_FILE_BYTES
from xrv_node.reasons import Reason
from xrv_node.receive import header_facts
from xrv_node.receive.digest import Digest
from xrv_node.receive.instance_rows import Accepted, Incoming, Received, record, seen
from xrv_node.receive.statuses import CANNOT_UNDERSTAND, CLASS_NOT_SUPPORTED, OUT_OF_RESOURCES
from xrv_node.settings.node import FrontalSection
from xrv_node.settings.priority import PrioritySection
from xrv_node.settings.receive import ReceiveSection
from xrv_node.spool import Spool, is_uid


def classes(receive: ReceiveSection) -> frozenset[str] | None:
    """Return the UIDs of the storage classes that a node takes by its setting; None: any.

    Raises
    ------
    ConfigError
        If the filter's tables, which name them, cannot be read.
    """
    return load_rules().sop_classes if receive.other_storage == "refuse" else None


def accept(
    store: Store,
    spool: Spool,
    rules: FrontalSection,
    incoming: Incoming,
    *,
    views_from_pixels: bool = False,
    max_bytes: int = MAX_FILE_BYTES,
    gate: Gate | None = None,
    classes: Collection[str] | None = None,
    priorities: Sequence[PrioritySection] = (),
    study: str | None = None,
    patient_id: str | None = None,
) -> Accepted:
    """Take one object: when this returns, its bytes and its row are on disk.

    Parameters
    ----------
    max_bytes
        Longest encoded dataset that is taken.
    views_from_pixels
        Whether the worker can tell a view that the header leaves open: such images are queued for it.
    gate
        Whether there is room for more; without it only a disk that is full refuses.
    classes
        UIDs of the storage classes that are taken; without it all of them.
    priorities
        The rules by which a study goes before its turn.
    study
        The Study Instance UID that was announced; without it any.
    patient_id
        The same of Patient ID.

    Raises
    ------
    RefusedError
        With the DIMSE status to answer: 0x0122 its class is not taken, 0xA700 no room, 0xA900 it is not what
        the request says, 0xC000 it cannot be understood. Nothing of it is kept.
    """
    _admit(incoming, gate, classes)
    undecided = views_from_pixels or rules.unknown == "analyse"
    with _no_room(), _drafted(spool, incoming, max_bytes) as (draft, digest):
        facts = header_facts.read(draft, rules, _announced(incoming, study, patient_id))
        digests = {c: keyed.attribute(spool.root, c, value) for c, value in facts.known_by.items()}
        caller, now = incoming.calling_ae[:16], datetime.now(UTC)
        known = priority.Known(caller, facts.known_by["station"], facts.study_priority, now)
        level = priority.level(priorities, known)
        received = Received(incoming, facts, digest, draft.stat().st_size, digests, level)
        return _settle(store, spool, received, draft, undecided=undecided)


def refused(repeats: Repeats, incoming: Incoming, error: RefusedError, address: str) -> bool:
    """Put a refusal on record; UIDs are kept only where they are UIDs.

    Parameters
    ----------
    address
        The sender's.

    Returns
    -------
    bool
        Whether it is the first of its kind within a minute; the others are counted.
    """
    uid, why = incoming.sop_instance_uid, reasons.of(error)
    return repeats.record(
        "instance.refused",
        peer=address,
        key=why,
        instance=uid if is_uid(uid) else None,
        status=f"0x{error.status:04X}",
        why=why,
        calling_ae=incoming.calling_ae,
    )


def _announced(incoming: Incoming, study: str | None, patient_id: str | None) -> dict[str, str]:
    """What the request says of the object, by keyword."""
    said = {"SOPClassUID": incoming.sop_class_uid, "SOPInstanceUID": incoming.sop_instance_uid}
    more = {"StudyInstanceUID": study, "PatientID": patient_id}
    return said | {keyword: value for keyword, value in more.items() if value is not None}


def _admit(incoming: Incoming, gate: Gate | None, classes: Collection[str] | None) -> None:
    """Refuse what need not be read to be refused."""
    header_facts.check_uids(SOPClassUID=incoming.sop_class_uid, SOPInstanceUID=incoming.sop_instance_uid)
    if classes is not None and incoming.sop_class_uid not in classes:
        raise RefusedError(CLASS_NOT_SUPPORTED, Reason("class-not-taken"))
    if gate is not None and (why := gate.refusal()):
        raise RefusedError(OUT_OF_RESOURCES, why)


@contextmanager
def _drafted(spool: Spool, incoming: Incoming, max_bytes: int) -> Iterator[tuple[Path, str]]:
    """Write the object to a file that is gone afterwards, unless it was placed; yield it and its digest."""
    digest = Digest()
    pieces = _measured(incoming.data, digest, max_bytes)
    draft = durable.draft(spool.drafts, itertools.chain((_part10_prefix(incoming),), pieces))
    try:
        yield draft, digest.hexdigest()
    finally:
        draft.unlink(missing_ok=True)


def _settle(store: Store, spool: Spool, received: Received, draft: Path, *, undecided: bool) -> Accepted:
    """Give the file its place, then the object its row."""
    target = spool.input(received.study, received.incoming.sop_instance_uid, received.sha256)
    try:
        if not _is_there(target, received):
            durable.place(draft, target)
        return store.together(lambda db: record(db, spool, received, target, undecided=undecided))
    except BaseException as error:
        if not is_busy(error):  # then that would wait as long again; the file serves the next try
            _forget(store, received, target)
        raise


def _is_there(target: Path, received: Received) -> bool:
    """Whether the object is in its place as it came. The file of another sender's has another AE title in
    front, and would move what the index knows by its offset; a damaged one is made good by the new one."""
    try:
        return intact.is_input(target, received.sha256, received.incoming.transfer_syntax_uid)
    except OSError:
        return False


def _part10_prefix(incoming: Incoming) -> bytes:
    """Preamble and file meta information (PS3.10 7.1), as the association negotiated them."""
    uid = incoming.sop_instance_uid.encode()
    uid += b"\0" * (len(uid) % 2)
    before, after = _meta(incoming.sop_class_uid, incoming.transfer_syntax_uid, incoming.calling_ae, len(uid))
    return before + uid + after


@lru_cache(256)
def _meta(sop_class: str, transfer_syntax: str, calling_ae: str, length: int) -> tuple[bytes, bytes]:
    """The prefix up to and from a SOP Instance UID of that length: all objects of a sender have it alike."""
    buffer = DicomBytesIO()
    meta = create_file_meta(
        sop_class_uid=UID(sop_class),
        sop_instance_uid=UID("1" * length),
        transfer_syntax=UID(transfer_syntax),
    )
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    if "\\" not in calling_ae:  # one that is no text is escaped: it would be another one here
        meta.SourceApplicationEntityTitle = calling_ae
    write_file_meta_info(buffer, meta)
    head, element, rest = (b"\0" * 128 + b"DICM" + buffer.getvalue()).partition(
        b"\x02\0\x03\0UI" + struct.pack("<H", length)  # Media Storage SOP Instance UID (0002,0003)
    )
    return head + element, rest[length:]


def _measured(
    pieces: Iterable[bytes | memoryview], digest: Digest, limit: int
) -> Iterator[bytes | memoryview]:
    """Hand the pieces on, digested, and not more of them than `limit` bytes."""
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > limit:
            raise RefusedError(CANNOT_UNDERSTAND, Reason("object-too-large", most=limit >> 20))
        digest.update(piece)
        yield piece


def _forget(store: Store, received: Received, path: Path) -> None:
    """Remove the file of an object that could not be recorded, unless it is another association's by now."""
    with suppress(Exception), store.begin() as db:
        if seen(db, received) != "duplicate":
            path.unlink(missing_ok=True)


@contextmanager
def _no_room() -> Iterator[None]:
    """Turn a full disk and a locked database into 0xA700: the sender keeps the object and tries again."""
    try:
        yield
    except Exception as error:
        why = Reason("database-locked") if is_busy(error) else no_room(error)
        if why is None:
            raise
        raise RefusedError(OUT_OF_RESOURCES, why) from error
