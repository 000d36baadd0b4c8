"""Accept by RFC 9110 with DICOM's parameters."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrv_node.web.dicomweb.accept import Offer, Range, choose, ranges

JSON = [Offer("application/dicom+json"), Offer("application/json")]
EXPLICIT, JPEG_2000, JPEG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.50"
DICOM = "application/dicom"
LOSSLESS = [Offer(DICOM, True, JPEG_2000, default=False), Offer(DICOM, True, EXPLICIT)]
LOSSY = [Offer(DICOM, True, JPEG), Offer(DICOM, True, EXPLICIT, default=False)]
FRAMES = [
    Offer("application/octet-stream", True, EXPLICIT),
    Offer("image/jp2", True, JPEG_2000),
    Offer("image/jp2", False, JPEG_2000),
]

ANSWERS = {
    # what OHIF sends for metadata
    "application/dicom+json, multipart/related; type=application/octet-stream; transfer-syntax=*": (JSON, 0),
    "*/*": (JSON, 0),
    "*": (JSON, 0),
    "application/*": (JSON, 0),
    "application/json": (JSON, 1),
    "application/json, application/dicom+json; q=0.5": (JSON, 1),
    "application/dicom+json; q=0, */*": (JSON, 1),
    "APPLICATION/DICOM+JSON ;charset=utf-8": (JSON, 0),
    "application/dicom+xml": (JSON, None),
    "application/dicom+xml, */*;q=.1": (JSON, 0),
    "text/html, image/gif, *; q=.2, */*; q=.2": (JSON, 0),  # what Java sends
    "application/dicom+json; q=0": (JSON, None),
    "nonsense": (JSON, None),
    'multipart/related; type="application/dicom"': (LOSSLESS, 1),
    "multipart/related; type=application/dicom": (LOSSLESS, 1),
    "multipart/related": (LOSSLESS, 1),
    "multipart/*": (LOSSLESS, 1),
    'multipart/related; type="application/dicom"; transfer-syntax=*': (LOSSLESS, 0),
    f"multipart/related; type={DICOM}; transfer-syntax={JPEG_2000}": (LOSSLESS, 0),
    f'multipart/related; transfer-syntax="{EXPLICIT}"; type="{DICOM}"': (LOSSLESS, 1),
    f"multipart/related; type={DICOM}; transfer-syntax={JPEG}": (LOSSLESS, None),
    f"multipart/related; type={DICOM}; transfer-syntax=*; q=0.1, multipart/related; type={DICOM}; transfer-syntax={EXPLICIT}": (LOSSLESS, 1),
    DICOM: (LOSSLESS, None),
    "multipart/related; type=image/jpeg": (LOSSLESS, None),
    'multipart/related; type="application/dicom" ': (LOSSY, 0),
    f"multipart/related; type={DICOM}; transfer-syntax={EXPLICIT} ": (LOSSY, 1),
    "image/jp2": (FRAMES, 2),
    "image/*": (FRAMES, 2),
    'multipart/related; type="image/*"': (FRAMES, 1),
    "*/* ": (FRAMES, 0),
    'multipart/related; type="image/jp2, image/jpeg"': (FRAMES, None),
    'multipart/related; type="image/jp\\2"': (FRAMES, 1),
}  # fmt: skip


@pytest.mark.parametrize("header", ANSWERS)
def test_what_is_chosen(header: str) -> None:
    offers, index = ANSWERS[header]
    assert choose(ranges(header), offers) == (None if index is None else offers[index])


@pytest.mark.parametrize("quality", ["2", "-1", "nan", "inf", "1e-3", "x", ".", "1.1", "0,5", "\u0660"])
def test_a_range_with_a_quality_that_is_none_does_not_count(quality: str) -> None:
    assert choose(ranges(f"application/json; q={quality}"), JSON) is None


def test_a_plus_that_became_a_space_in_the_address_is_a_plus() -> None:
    assert choose(ranges("application/dicom json", query=True), JSON) == JSON[0]
    assert choose(ranges("application/dicom json"), JSON) is None


@settings(max_examples=50)
@given(st.text(max_size=400))
def test_any_text_is_read(header: str) -> None:
    for one in ranges(header):
        assert 0 <= one.quality <= 1
        assert "/" in one.media_type
    for offers in (JSON, LOSSLESS, LOSSY, FRAMES):
        assert choose(ranges(header), offers) in (None, *offers)


names = st.from_regex(r"[a-z0-9!#$&^_.+-]{1,20}", fullmatch=True)
values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)
media = st.builds("{}/{}".format, names, names)


def written(one: Range, *, quote: bool) -> str:
    """A media range as text; what needs no quotes is written without, unless `quote`."""
    pieces = [one.media_type]
    for name, value in one.parameters.items():
        plain = value and not set(value) & set('",;\\ =') and not quote
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        pieces.append(f"{name}={value}" if plain else f'{name}="{escaped}"')
    return "; ".join([*pieces, f"q={one.quality:.3f}"])


ranges_made = st.builds(
    Range,
    media,
    st.dictionaries(names.filter(lambda name: name != "q"), values, max_size=3),
    st.integers(0, 1000).map(lambda thousandths: thousandths / 1000),
)


@settings(max_examples=50)
@given(st.lists(ranges_made, max_size=5), st.booleans())
def test_what_is_written_by_the_rules_is_read_back(made: list[Range], quote: bool) -> None:
    assert ranges(",".join(written(one, quote=quote) for one in made)) == made


@settings(max_examples=50)
@given(st.lists(ranges_made, min_size=1, max_size=6))
def test_nothing_is_sent_that_was_not_asked_for(made: list[Range]) -> None:
    offers = [Offer(one.media_type) for one in made] + [Offer("x/other")]
    chosen = choose(made, offers)
    best = max(one.quality for one in made)
    named = {one.media_type for one in made if one.quality == best > 0}
    assert (chosen is None and best == 0) or (chosen is not None and chosen.media_type in named)


def test_a_long_header_costs_no_more_than_reading_it() -> None:
    for piece in (",", ";", '"', "\\", 'a"b"', "*/*,", "a/b;c=d;", '"\\'):
        assert len(ranges(piece * (100_000 // len(piece)))) <= 64
