"""An object's file to what the index keeps of it."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import structlog
from pydicom import Dataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from xrv_node.attributes import integer, text
from xrv_node.errors import ImageError
from xrv_node.index import dicom_json, levels, searched
from xrv_node.radiograph.elements import UNDEFINED
from xrv_node.radiograph.header import read_header, transfer_syntax
from xrv_node.radiograph.header_limits import LOOKED_AT, Limits, passed_over, pixels_at
from xrv_node.reasons import Reason

log = structlog.get_logger("index")

WHOLE = Limits(text=8 << 20, tables=8 << 20, values=100_000, pieces=100_000, reads=300_000)
"""Of a header that others will read: a segmentation of 2,000 frames says some fifty things of each. Most are
far smaller; of one that goes beyond, what the node itself looks at is kept."""

_PIXEL_DATA = 0x7FE00010


@dataclass(frozen=True)
class Header:
    """What is kept of an object."""

    attributes: dict[str, Any]
    """DICOM JSON."""
    transfer_syntax_uid: str
    instance_number: int | None
    frames: int
    """0 without pixel data."""
    pixel_offset: int | None
    """Of native pixel data as they lie in the file."""
    pixel_length: int | None

    @cached_property
    def packed(self) -> bytes:
        """The attributes as `HeaderRow` has them."""
        return zlib.compress(written(self.attributes).encode())


def written(attributes: Any) -> str:
    """Return DICOM JSON as text."""
    return json.dumps(attributes, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def read(path: Path, known: dict[str, str]) -> Header:
    """Read the header of a file; of one that is missing or damaged what is known without it.

    Parameters
    ----------
    known
        Keyword and value of what the audit database says: UIDs and modality.
    """
    try:
        header = _whole(path)
        if text(header, "SOPInstanceUID") != known["SOPInstanceUID"]:  # as of a file that breaks off
            raise ImageError(Reason("not-parsable"))
        kept = _kept(header, known)
        # what cannot be searched or written is found here, where it costs one object and not the index
        searched.check(kept.attributes)
        kept.packed  # noqa: B018
        return kept
    except Exception as error:  # the parser meets bytes from outside; what it raises may quote them
        why = str(error) if isinstance(error, ImageError) else type(error).__name__
        uid = known["SOPInstanceUID"]
        log.warning("an object is indexed without its header", instance=uid, why=why)
        return Header(_said(known), ExplicitVRLittleEndian, None, 0, None, None)


def _whole(path: Path) -> Dataset:
    try:
        return read_header(path, WHOLE)
    except ImageError:
        return read_header(path, LOOKED_AT)


def _kept(header: Dataset, known: dict[str, str]) -> Header:
    syntax = transfer_syntax(header) or ExplicitVRLittleEndian
    pixels = pixels_at(header)
    number, frames = text(header, "InstanceNumber"), integer(header, "NumberOfFrames")
    attributes = dicom_json.of(header, passed_over(header))
    attributes |= {tag: value for tag, value in _said(known).items() if tag not in attributes}
    if pixels is None:
        frames, native = 0, False
    else:
        attributes[f"{pixels.tag:08X}"] = dicom_json.bulk(pixels.tag, pixels.vr)
        frames = max(frames, 1)
        native = _is_native(syntax) and pixels.length != UNDEFINED and pixels.tag == _PIXEL_DATA
    native = native and pixels is not None and pixels.offset is not None
    return Header(
        attributes,
        str(syntax),
        int(number) if number[number[:1] in ("+", "-") :].isdecimal() and len(number) <= 12 else None,
        frames,
        pixels.offset if native and pixels else None,
        pixels.length if native and pixels else None,
    )


def _is_native(syntax: UID) -> bool:
    """A private or unknown one may be anything."""
    return syntax.is_transfer_syntax and not syntax.is_compressed and syntax != DeflatedExplicitVRLittleEndian


def _said(known: dict[str, str]) -> dict[str, Any]:
    vrs = {"Modality": "CS"}
    found = {levels.key(k): {"vr": vrs.get(k, "UI"), "Value": [v]} for k, v in known.items() if v}
    return {dicom_json.CHARACTER_SET: dicom_json.UTF_8} | found
