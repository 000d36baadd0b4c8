"""Multipart bodies as they come: what is a part, what is refused, and that no way of cutting them changes it."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable, Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrv_node.web.dicomweb import multipart_in
from xrv_node.web.dicomweb.multipart_in import MultipartError, TooManyPartsError, is_boundary, parts

Found = tuple[list[tuple[dict[str, str], bytes]], str | None]
"""Headers and content of each part that is whole, and why it broke off."""

HARD = (
    b"\r\n", b"\r", b"\n", b"--", b"--edge", b"\r\n--edg", b"\r\n--edge ", b"\r\n--edge-", b"\r\n--edge--",
    b"\r\n--edge\r\n", b"\r\n--edge\t\r\n", b"Content-Type: application/dicom\r\n", b": ", b"\r\n\r\n", b"", b"x",
)  # fmt: skip
"""What comes near a boundary, and boundaries."""


def found(body: Iterable[bytes], boundary: str = "edge") -> Found:
    whole: list[tuple[dict[str, str], bytes]] = []
    try:
        for part in parts(body, boundary):
            content = b"".join(map(bytes, part.pieces))
            whole.append((dict(part.headers), content))
    except MultipartError as error:
        return whole, str(error)
    return whole, None


def pieces(body: bytes, cuts: Iterable[int]) -> Iterator[bytes]:
    for first, last in pairwise([0, *sorted(cuts), len(body)]):
        yield body[first:last]


@given(st.lists(st.sampled_from(HARD) | st.binary(max_size=6), max_size=24), st.data())
@settings(max_examples=200, deadline=None)
def test_any_cut_of_the_stream_gives_the_same_parts(body: list[bytes], data: st.DataObject) -> None:
    whole = b"--edge\r\n" + b"".join(body) + b"\r\n--edge--"
    cuts = data.draw(st.lists(st.integers(0, len(whole)), max_size=12))
    one, many = found([whole]), found(pieces(whole, cuts))
    assert many[0] == one[0]
    assert (many[1] is None) == (one[1] is None)


@given(
    st.lists(
        st.binary(max_size=40).map(lambda content: content.replace(b"\r\n--edge", b"")),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from([b"", b"\r\n", b"to whom it may concern\r\n", b"\r\n\r\n-- no --\r\n"]),
    st.sampled_from([b"", b" ", b" \t "]),
    st.sampled_from([b"", b"\r\n", b"\r\nthe rest"]),
)
@settings(max_examples=80, deadline=None)
def test_what_was_put_in_comes_out(contents: list[bytes], before: bytes, white: bytes, behind: bytes) -> None:
    body = before + b"".join(
        b"--edge" + white + b"\r\nContent-Type: a/b\r\n\r\n" + content + b"\r\n" for content in contents
    )
    body += b"--edge--" + white + behind
    parted, broken = found(body[at : at + 3] for at in range(0, len(body), 3))
    assert broken is None
    assert parted == [({"content-type": "a/b"}, content) for content in contents]


@pytest.mark.parametrize(
    ("body", "whole", "says"),
    [
        (b"", 0, "no closing boundary"),
        (b"just text", 0, "no closing boundary"),
        (b"--edge\r\n\r\none\r\n--edge", 0, "no closing boundary"),
        (b"--edge\r\n\r\none\r\n--edge\r\n\r\nhalf", 1, "no closing boundary"),
        (b"--edge\r\n\r\none\r\n--other--", 0, "no closing boundary"),
        (b"--edge\r\n\r\none\r\n--edge\r\nno header\r\n\r\n", 1, "RFC 2046"),
        (b"--edge\r\n\r\none\r\n--edge\r\n: x\r\n\r\n", 1, "RFC 2046"),
        (b"--edge\r\n\r\none\r\n--edge  x\r\n", 0, "RFC 2046"),
        (b"x" * (1 << 17) + b"\r\n--edge\r\n\r\none\r\n--edge--", 0, "outside the boundaries"),
    ],
)  # fmt: skip
def test_what_breaks_off_says_why_and_keeps_what_was_whole(body: bytes, whole: int, says: str) -> None:
    kept, broken = found(pieces(body, range(1000, len(body), 1000)))
    assert [content for _, content in kept[:whole]] == [b"one"] * whole
    assert len(kept) == whole
    assert says in str(broken)


def test_a_body_without_parts_has_none() -> None:
    assert found([b"--edge--"]) == ([], None)


def test_an_endless_epilogue_ends() -> None:
    body = [b"--edge\r\n\r\none\r\n--edge--", *[b"x" * 1000] * 1000]
    assert found(iter(body)) == ([({}, b"one")], "more than 64 KiB stand outside the boundaries")


@pytest.mark.parametrize(
    "headers",
    [b"".join(b"X-%d: y\r\n" % number for number in range(50_000)), b"X: " + b"y" * 50_000, b"X" * 50_000],
)
def test_headers_have_a_limit(headers: bytes) -> None:
    kept, broken = found([b"--edge\r\n\r\none\r\n--edge\r\n", headers, b"\r\n\r\ntwo\r\n--edge--"])
    assert [content for _, content in kept] == [b"one"]
    assert "Maximum header" in str(broken)


def test_a_million_parts_take_neither_time_nor_memory() -> None:
    some = b"--edge\r\n\r\n\r\n" * 1000
    tracemalloc.start()
    try:
        with pytest.raises(TooManyPartsError, match="several requests"):
            for _ in parts((some for _ in range(1000)), "edge"):
                pass
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_a_part_is_never_whole_in_memory() -> None:
    piece = bytes(1 << 16)
    body = [b"--edge\r\n\r\n", *[piece] * 800, b"\r\n--edge--"]
    tracemalloc.start()
    try:
        (size,) = [sum(map(len, part.pieces)) for part in parts(iter(body), "edge")]
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert size == 800 << 16


def test_what_nobody_reads_of_a_part_is_passed_over() -> None:
    body = (
        b"".join(b"--edge\r\nName: %d\r\n\r\n%s\r\n" % (number, b"x" * 5000) for number in range(3))
        + b"--edge--"
    )
    names = []
    for part in parts(pieces(body, range(100, len(body), 100)), "edge"):
        names.append(part.headers["name"])
        next(part.pieces)
    assert names == ["0", "1", "2"]


@pytest.mark.parametrize("good", ["b", "b" * 70, "a b", "'()+_,-./:=?", "0123456789"])
def test_boundaries_of_the_standard(good: str) -> None:
    assert is_boundary(good)
    body = b"".join(b"--%s\r\n\r\none\r\n" % good.encode() for _ in range(2)) + b"--%s--" % good.encode()
    assert found(pieces(body, range(len(body))), good) == ([({}, b"one")] * 2, None)


@pytest.mark.parametrize("bad", ["", "b" * 71, "b ", "a\r\nb", "a;b", "\u00e9", "a\tb"])
def test_what_is_no_boundary(bad: str) -> None:
    assert not is_boundary(bad)


def test_limits_are_above_what_is_sent() -> None:
    assert multipart_in.MOST_HEADERS > 8  # what the parser would take
