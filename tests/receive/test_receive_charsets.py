"""Text in every character set through the node: the results have the bytes that came, and the set they came in."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import dciodvfy
import pytest
from breadth_objects import rewrite, run, stored, tool, write
from made import radiograph
from odd_bytes import ITEM, ITEM_END, SEQUENCE_END, UNDEFINED, Change, element, instead
from pydicom import Dataset, dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.valuerep import CUSTOMIZABLE_CHARSET_VR
from receiving import Receiver

from xrv_node.report.source import ALWAYS, WHERE_PRESENT
from xrv_node.result_kinds import KINDS as MADE
from xrv_node.settings.destinations import DestinationSection

KINDS = DestinationSection.model_fields["send"].default
"""What a destination gets by default."""
TAKEN = [tag for k in (*ALWAYS, *WHERE_PRESENT) if (tag := tag_for_keyword(k)) is not None]
"""What results take over of their source."""
TEXTS = 13
"""Elements of text that are sent in them."""

# Specific Character Set (PS3.3 C.12.1.1.2) and a name, both as bytes
NAMES: dict[str, tuple[bytes | None, bytes]] = {
    "none, ASCII": (None, b"Muster^Maria"),
    "none, Latin-1 all the same": (None, b"M\xfcller^Zo\xeb"),
    "empty": (b"", b"Muster^Maria"),
    "ISO_IR 6": (b"ISO_IR 6", b"Muster^Maria"),
    "Latin-1": (b"ISO_IR 100", "Müller^Zoë".encode("latin-1")),
    "Latin-2": (b"ISO_IR 101", "Dvořák^Antonín".encode("iso8859-2")),
    "Latin-3": (b"ISO_IR 109", "Ċaruana^Ġorġ".encode("iso8859-3")),
    "Latin-4": (b"ISO_IR 110", "Bērziņš^Jānis".encode("iso8859-4")),
    "Cyrillic": (b"ISO_IR 144", "Жуков^Илья".encode("iso8859-5")),
    "Arabic": (b"ISO_IR 127", "قباني^لنزار".encode("iso8859-6")),
    "Greek": (b"ISO_IR 126", "Διονυσιος".encode("iso8859-7")),
    "Hebrew": (b"ISO_IR 138", "שרון^דבורה".encode("iso8859-8")),
    "Latin-5": (b"ISO_IR 148", "Çelik^İpek".encode("iso8859-9")),
    "Thai": (b"ISO_IR 166", "นามสกุล^ชื่อ".encode("tis-620")),
    "Katakana": (b"ISO_IR 13", b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3"),
    # PS3.5 H.3.1, H.3.2, I.2, J.1, J.2, K.2: the byte sequences that stand there
    "Japanese": (
        b"\\ISO 2022 IR 87",
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
    ),
    "Japanese with Katakana": (
        b"ISO 2022 IR 13\\ISO 2022 IR 87",
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
    ),
    "Japanese, supplementary": (
        b"ISO 2022 IR 6\\ISO 2022 IR 87\\ISO 2022 IR 159",
        b"Yamada^Tarou=\x1b$(D0\x22\x1b(B^\x1b$BB@O:\x1b(B",
    ),
    "Korean": (
        b"\\ISO 2022 IR 149",
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
    ),
    "Chinese, ISO 2022": (b"\\ISO 2022 IR 58", b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab="),
    "Chinese, GB18030": (b"GB18030", "Wang^XiaoDong=王^小东=".encode("gb18030")),
    "Chinese, GBK": (b"GBK", "Wang^XiaoDong=王^小东=".encode("gbk")),
    "Unicode": (b"ISO_IR 192", "Wang^XiaoDong=王^小東=".encode()),
    "Latin-1 by ISO 2022": (b"ISO 2022 IR 6\\ISO 2022 IR 100", b"M\x1b-A\xfcller^Zo\x1b-A\xeb"),
    "a set that is none": (b"ISO_IR 999", b"M\xfcller^Zo\xeb"),
    "a set by another name": (b"latin1", b"M\xfcller^Zo\xeb"),
    "bytes that are not of the set": (b"ISO_IR 192", b"M\xfcller^Zo\xeb"),
    "half a character": (b"\\ISO 2022 IR 87", b"Yamada^Tarou=\x1b$B;3E"),
}
INVALID = {
    "none, Latin-1 all the same", "Katakana", "Chinese, GBK", "a set that is none", "a set by another name",
    "bytes that are not of the set", "half a character",
}  # fmt: skip
"""What dciodvfy calls wrong: it is in the source, or a set that it does not know."""


def padded(value: bytes) -> bytes:
    return value + b" " * (len(value) % 2)


def item(*parts: bytes) -> bytes:
    return ITEM + b"".join(parts) + ITEM_END


def worded(words: bytes) -> list[Change]:
    """Put words into an attribute of each text VR that results take over, at the top and in sequences."""
    text, short = padded(words), padded(words[:3] if b"\x1b" not in words else b"A")
    names = padded(words + b"\\" + words)
    code = item(
        element(0x00080102, "SH", b"99X "),
        element(0x00080104, "LO", text),
        element(0x00080119, "UC", b"a longer code of " + text + b"."),
    )
    issuer = item(element(0x00400032, "UT", text + b"  "), element(0x00400033, "CS", b"UUID"))
    return [
        instead(0x00080050, element(0x00080050, "SH", short)),
        instead(0x00080090, element(0x00080090, "PN", text)),
        instead(
            0x00081030,
            element(0x00081030, "LO", text),
            element(0x00081032, "SQ", code + SEQUENCE_END, UNDEFINED),
        ),
        instead(0x00100010, element(0x00100010, "PN", text)),
        instead(
            0x00100020,
            element(0x00100020, "LO", text + b"  "),  # padded by more than there is need for
            element(0x00100021, "LO", text),
            element(0x00100024, "SQ", issuer),
        ),
        instead(
            0x00101010,
            element(0x00101001, "PN", names),
            element(0x00101010, "AS", b"066Y"),
            element(0x00104000, "LT", text + b"\r\n" + text),
        ),
    ]


@pytest.mark.parametrize("name", NAMES)
def test_text_and_its_set_come_back_as_the_bytes_they_were(
    name: str, receiver: Receiver, tmp_path: Path
) -> None:
    charset, words = NAMES[name]
    sent = write(radiograph(StudyDescription="x", SpecificCharacterSet="ISO_IR 100"), tmp_path / "image.dcm")
    declared = [] if charset is None else [element(0x00080005, "CS", padded(charset))]
    for change in (instead(0x00080005, *declared), *worded(words)):
        rewrite(sent, change)
    assert stored(receiver.port, sent) == 0
    assert receiver.analysed() == [None]
    came = dcmread(sent)
    wanted = texts(came, TAKEN)
    assert len(wanted) == TEXTS
    known = dciodvfy.errors(sent) if name in INVALID else []
    results = receiver.reported(KINDS)
    assert set(results) == set(KINDS)
    for kind, path in results.items():
        result = dcmread(path)
        assert texts(result, TAKEN) == wanted, kind
        assert (result.get("SpecificCharacterSet") or None) == (came.get("SpecificCharacterSet") or None), (
            kind
        )
        if MADE[kind].deflates:  # dciodvfy does not inflate
            run(tool("dcmconv"), "+te", path, path := tmp_path / f"{kind}.dcm")
        assert [c for c in dciodvfy.errors(path) if c not in known] == [], kind
    assert dumped(results["report"]) == dumped(sent)


def texts(dataset: Dataset, tags: Iterable[int]) -> dict[tuple[int, ...], bytes]:
    """The bytes of all text in these elements, by where it is: tag, or tags and numbers of items."""
    found: dict[tuple[int, ...], bytes] = {}
    for tag in tags:
        if tag not in dataset:
            continue
        raw = dataset.get_item(tag)
        if raw.VR == "SQ":
            for number, inner in enumerate(dataset[tag].value):
                below = texts(inner, list(inner.keys()))
                found |= {(int(tag), number, *place): value for place, value in below.items()}
        elif raw.VR in CUSTOMIZABLE_CHARSET_VR:
            assert isinstance(raw.value, bytes)
            found[int(tag),] = raw.value
    return found


def dumped(path: Path) -> list[str]:
    """Names and character set as dcmtk reads them."""
    tags = ("0008,0005", "0008,0090", "0010,0010")
    text = run(tool("dcmdump"), "-q", "+L", *(word for tag in tags for word in ("+P", tag)), path)
    lines = [line.partition("#")[0].rstrip() for line in text.splitlines()]
    return [line for line in lines if "(no value available)" not in line]
