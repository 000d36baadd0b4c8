"""Which representation a client gets: Accept by RFC 9110, with the parameters of DICOM (PS3.18 8.7)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from fastapi import Request

from xrv_node.web.problem import Problem

_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"?|[^",;]+|[,;]', re.DOTALL)
"""Quoted strings, what stands between, and the two that part it: one pass, whatever the length."""
_QUALITY = re.compile(r"[01]?(\.[0-9]{0,9})?", re.ASCII)
"""RFC 9110 12.4.2 has three digits and a zero before the point; some clients write ``.2``."""
_MOST_RANGES = 64
"""Of a header; a browser sends eight."""
_RELATED = "multipart/related"


@dataclass(frozen=True, slots=True)
class Offer:
    """A representation that could be sent."""

    media_type: str
    """Of the thing itself, without parameters: that of each part, if there are parts."""
    multipart: bool = False
    """Whether it goes in ``multipart/related``."""
    transfer_syntax: str | None = None
    """None for what has no transfer syntax, such as JSON."""
    default: bool = True
    """Whether it is meant where no transfer syntax is named (PS3.18 8.7.3)."""

    def __str__(self) -> str:
        syntax = f"; transfer-syntax={self.transfer_syntax}" if self.transfer_syntax else ""
        return (
            f'{_RELATED}; type="{self.media_type}"{syntax}'
            if self.multipart
            else f"{self.media_type}{syntax}"
        )


@dataclass(frozen=True, slots=True)
class Range:
    """One of the media ranges that a client accepts."""

    media_type: str
    parameters: dict[str, str] = field(default_factory=dict)
    quality: float = 1.0

    def match(self, offer: Offer) -> tuple[int, int] | None:
        """Tell how closely this range names an offer, by media type and transfer syntax; None: not at all."""
        named = self._names(offer)
        syntax = self._has_syntax(offer)
        return None if named is None or syntax is None else (named, syntax)

    def _names(self, offer: Offer) -> int | None:
        if self.media_type == "*/*":
            return 0
        if not offer.multipart:
            return _closeness(self.media_type, offer.media_type)
        if self.media_type != _RELATED:
            return 1 if self.media_type == "multipart/*" else None
        inner = _closeness(self.parameters.get("type", "*/*").lower(), offer.media_type)
        return None if inner is None else inner + 2

    def _has_syntax(self, offer: Offer) -> int | None:
        named = self.parameters.get("transfer-syntax")
        if named is None:
            return 1 if offer.default else None
        if named == "*":
            return 0
        return 2 if offer.transfer_syntax in (None, named) else None


def ranges(text: str, *, query: bool = False) -> list[Range]:
    """Read a list of media ranges.

    Parameters
    ----------
    text
        The value of an Accept header, or of the query parameter ``accept``. A parameter's value may be quoted
        or not, also where RFC 9110 demands it (``type=application/dicom``).
    query
        Whether it is the latter, in which a ``+`` that was not escaped has become a space.

    Returns
    -------
    list of Range
        What is no media range, or has a quality that is none, is left out; no more than 64 are looked at.
    """
    found = (_range(pieces, query=query) for pieces in _split(text)[:_MOST_RANGES])
    return [one for one in found if one is not None]


def choose(asked: Sequence[Range], offers: Sequence[Offer]) -> Offer | None:
    """Choose the representation that a client likes best.

    Parameters
    ----------
    asked
        What it accepts.
    offers
        What there is, in the order in which it is preferred here: as it is stored comes first.

    Returns
    -------
    Offer or None
        The one with the highest quality, which is that of the range that names it most closely (RFC 9110
        12.5.1); of several the first. None where nothing is acceptable.
    """
    best: Offer | None = None
    highest = 0.0
    for offer in offers:
        matches = [(closeness, one.quality) for one in asked if (closeness := one.match(offer)) is not None]
        quality = max(matches)[1] if matches else 0.0
        if quality > highest:
            best, highest = offer, quality
    return best


def negotiate(request: Request, offers: Sequence[Offer]) -> Offer:
    """Choose the representation that answers a request.

    Parameters
    ----------
    request
        Its query parameter ``accept`` wins over the header (PS3.18 8.3.3.1); without either anything will do.
    offers
        As for `choose`.

    Raises
    ------
    Problem
        406, naming what there is.
    """
    if (wanted := request.query_params.get("accept")) is not None:
        asked = ranges(wanted, query=True)
    else:
        header = ",".join(request.headers.getlist("accept"))
        asked = ranges(header if header.strip() else "*/*")
    chosen = choose(asked, offers)
    if chosen is None:
        there = ", or ".join(dict.fromkeys(map(str, offers))) or "nothing"
        raise Problem(406, f"Not available as asked for. Available: {there}.")
    return chosen


def _split(text: str) -> list[list[str]]:
    """Part a header's value at commas and semicolons that are not quoted."""
    found: list[list[list[str]]] = [[[]]]
    for piece in _TOKENS.findall(text):
        if piece == ",":
            if len(found) == _MOST_RANGES:
                break
            found.append([[]])
        elif piece == ";":
            found[-1].append([])
        else:
            found[-1][-1].append(piece)
    return [["".join(pieces).strip() for pieces in one] for one in found]


def _range(pieces: list[str], *, query: bool) -> Range | None:
    media_type = _media_type(pieces[0], query=query)
    if media_type is None:
        return None
    parameters: dict[str, str] = {}
    for piece in pieces[1:]:
        name, _, value = piece.partition("=")
        parameters.setdefault(name.strip().lower(), _unquoted(value.strip()))
    quality = parameters.pop("q", "1")
    if query and "type" in parameters:
        parameters["type"] = parameters["type"].replace(" ", "+")
    if not _QUALITY.fullmatch(quality) or quality in ("", ".") or float(quality) > 1:
        return None
    return Range(media_type, parameters, float(quality))


def _media_type(text: str, *, query: bool) -> str | None:
    if text == "*":  # what Java's own client sends
        return "*/*"
    media_type = text.replace(" ", "+").lower() if query else text.lower()
    return media_type if re.fullmatch(r"[^\s/]+/[^\s/]+", media_type) else None


def _unquoted(value: str) -> str:
    return (
        re.sub(r"\\(.)", r"\1", value[1:].removesuffix('"'), flags=re.DOTALL) if value[:1] == '"' else value
    )


def _closeness(asked: str, media_type: str) -> int | None:
    """How closely a range without parameters names a media type: 2 for it, 1 for its kind, 0 for any."""
    if asked == media_type:
        return 2
    if asked == "*/*":
        return 0
    return 1 if asked == f"{media_type.partition('/')[0]}/*" else None
