"""Where images lie below a folder: one set of rules for every dataset (``docs/datasets.md``).

An image is known by its name, or by the end of its path, in any case of letters and any format that is read.
"""

from __future__ import annotations

import re
import unicodedata
import zipfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path

from xrv_node.errors import DatasetError
from xrv_node.folders import is_left_out
from xrv_node.lab.datasets.owner_file import DAMAGE
from xrv_node.visible import visible

READABLE = (".dcm", ".dicom", ".png", ".jpg", ".jpeg")
"""Endings of images. Files that differ in nothing else are copies of one image, the first of these first."""

_NO_IMAGES = (".csv", ".gz", ".zip", ".json", ".xml", ".txt", ".tgz")
"""Endings of what lies beside images. What has none of these and none of `READABLE` may be DICOM."""

ARCHIVES = (".zip",)
"""Endings of archives whose members are read without unpacking."""

_SHOWN = 3
"""How many of a kind a note names."""

_OTHERS = frozenset(
    (
        *("segmentation", "segmentations", "seg", "segs", "label", "labels", "annotation", "annotations"),
        *("gt", "groundtruth", "contour", "contours", "overlay", "overlays", "heatmap", "heatmaps"),
        *("bbox", "bboxes", "boxes", "gradcam", "cam", "annotated", "predictions"),
        *("thumbnail", "thumbnails", "thumbs", "preview", "previews"),
    )
)
"""Words for folders of pictures about the radiographs. Datasets are called by them too
(siim-acr-pneumothorax-segmentation): beside other words they only come after folders without them."""

_PLAIN = frozenset(("train", "test", "val", "valid", "validation", "png", "jpg", "jpeg", "ground", "truth"))
"""Words that say nothing of what the pictures are."""

_IMAGES = frozenset(
    (
        *("image", "images", "img", "imgs", "cxr", "cxrs", "dicom", "dicoms", "dcm"),
        *("radiograph", "radiographs", "xray", "xrays", "picture", "pictures"),
    )
)

_BOTH = frozenset(("and", "with"))
"""Words of a name like ``images_and_masks``, which says nothing of one picture."""


Names = tuple[str, ...]
"""How one image may be called: names, or paths with ``/``, the usual one first."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Images that are looked for."""

    names: Sequence[Names]
    """Of each."""
    endings: Sequence[str] = ("",)
    """What is added to names, the preferred first, e.g. ``(".dcm", ".jpg")``; ``""`` for whole names."""
    least: int = 1
    """How many of the last parts of a path tell an image from all others; what lies above may differ."""


@dataclass(slots=True)
class Found:
    """What came of looking."""

    paths: dict[Names, str] = field(default_factory=dict)
    """Relative to the folder; images that are not there have none."""
    places: dict[tuple[str, str], None] = field(default_factory=dict)
    """Where an image was taken from, and where it is as well: each pair once, in order."""


class Index:
    """Files by the end of their path.

    Parameters
    ----------
    paths
        Relative, with ``/``.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = [(key(path), path) for path in paths]
        self._ends: dict[int, dict[str, list[str]]] = {}

    def __len__(self) -> int:
        """Return how many files there are."""
        return len(self._paths)

    def ending_in(self, parts: Sequence[str]) -> Sequence[str]:
        """Return the paths whose last parts have this `key`."""
        length = len(parts)
        if length not in self._ends:
            ends: dict[str, list[str]] = {}
            for whole, path in self._paths:
                end = whole.rsplit("/", length)[-length:]
                if len(end) == length:
                    ends.setdefault("/".join(end), []).append(path)
            self._ends[length] = ends
        return self._ends[length].get("/".join(parts), ())


def split(paths: Iterable[str]) -> tuple[Index, Index]:
    """Part files into those of images and those that lie in folders of masks."""
    images, masks = list[str](), list[str]()
    for path in paths:
        if path.casefold().endswith(_NO_IMAGES):
            continue
        (masks if is_of_masks(path) else images).append(path)
    return Index(images), Index(masks)


def key(path: str) -> str:
    """Return what two paths of one image have in common.

    Windows writes ``\\`` and endings in capitals, a Mac takes letters with accents apart (NFD), and people
    convert images.
    """
    path = path.replace("\\", "/")
    path = path if path.isascii() else unicodedata.normalize("NFC", path)
    path = path.casefold()
    while ending := _ending(path):  # converters write name.dcm.png
        path = path.removesuffix(ending)
    return path


def look(wanted: Wanted, files: Index) -> Found:
    """Look images up among files.

    Of several files of one image that in the preferred format comes first, then that whose name is written
    alike, then that in a folder which says that it holds images, then that in fewer folders, then the first
    by its path.

    Parameters
    ----------
    wanted
        The images.
    files
        Where.
    """
    found = Found()
    for names in wanted.names if files else ():
        ends: dict[str, str] = {}
        for name in names:
            ends.setdefault(key(name), name)
        for end, name in ends.items():
            length, there = _ending_alike(end, wanted.least, files)
            if len(there) > 1:
                there = sorted(there, key=partial(_rank, name, wanted.endings))
                found.places |= dict.fromkeys(_pair(there[0], other, length) for other in there[1:])
            if there:
                found.paths[names] = there[0]
                break
    return found


def _ending_alike(end: str, least: int, files: Index) -> tuple[int, Sequence[str]]:
    """The files with the longest end in common with a `key`, and how many parts that has."""
    parts = [part for part in end.split("/") if part not in ("", ".")]
    for length in range(len(parts), least - 1, -1):
        if there := files.ending_in(parts[-length:]):
            return length, there
    return 0, ()


def notes(wanted: Wanted, found: Found, masks: Index, folder: Path) -> Iterator[str]:
    """Say what was not found, and between what was chosen; of a folder without images nothing.

    Parameters
    ----------
    wanted, found
        What was looked for, and what came of it.
    masks
        The files in folders of masks.
    folder
        Where it was looked for.
    """
    missing = [names for names in wanted.names if names not in found.paths]
    if not found.paths and (alike := look(wanted, masks).paths.values()):
        places = dict.fromkeys(path.rpartition("/")[0] for path in alike)
        yield (
            f"{len(alike)} images are only in {_some(places)} by their names: folders of masks hold no "
            "images, rename them if these do"
        )
    if missing and found.paths:
        some = _some([names[0] for names in missing])
        yield f"{len(missing)} of {len(wanted.names)} images are not in {folder}, such as {some}"
    if found.places:
        taken, left = (dict.fromkeys(side) for side in zip(*found.places, strict=True))
        yield f"images are there more than once: taken from {_some(taken)}, not from {_some(left)}"


def is_of_masks(path: str) -> bool:
    """Whether a file lies in a folder of masks: the lowest folder whose name says what it holds decides."""
    return next(
        (said for one in reversed(path.split("/")[:-1]) if (said := _says_masks(one)) is not None), False
    )


def archives(folder: Path, endings: Sequence[str] = ARCHIVES) -> list[Path]:
    """Return the archives that lie in a folder or up to two deeper, in order."""
    return sorted(
        path
        for deep in ("*", "*/*", "*/*/*")
        for path in folder.glob(deep)
        if path.name.casefold().endswith(tuple(endings)) and not is_left_out(path.name) and path.is_file()
    )


def packed(folder: Path) -> Iterator[str]:
    """Yield the path of every member of the folder's archives; one that is cut short has none yet."""
    for path in archives(folder):
        relative = path.relative_to(folder).as_posix()
        for member in members(path) if zipfile.is_zipfile(path) else ():
            yield f"{relative}/{member}"


def members(archive: Path) -> list[str]:
    """Return the names of the files in a zip archive.

    Raises
    ------
    DatasetError
        It is damaged.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            names = [name for name in opened.namelist() if not name.endswith("/")]
    except DAMAGE as error:
        raise DatasetError(f"{archive} cannot be read as a zip archive; get it again") from error
    return [name for name in names if not any(map(is_left_out, name.split("/")))]


def _pair(taken: str, other: str, length: int) -> tuple[str, str]:
    """Where two files of one image lie; their formats, where that is one place."""
    one, two = _place(taken, length), _place(other, length)
    return (one, two) if one != two else (f"{one} ({_ending(taken)})", f"{two} ({_ending(other)})")


def _rank(name: str, endings: Sequence[str], path: str) -> tuple[int, bool, int, int, int, str]:
    """What comes before what, by the rules of `look`."""
    formats = [*(one or _ending(name) for one in endings), *READABLE, ""]
    *folders, file = path.split("/")
    alike = any(file == name.rpartition("/")[2] + one for one in endings)
    masks = sum(_says_masks(one) is True for one in folders)
    says_images = any(_says_masks(one) is False for one in folders)
    doubt = 0 if says_images else 1 + any(_words(one) & _OTHERS for one in folders)
    return formats.index(_ending(path)), not alike, masks, doubt, path.count("/"), path


def _ending(path: str) -> str:
    """The ending of an image, in small letters; a UID's last number is none."""
    dot = path.rfind(".")
    ending = path[dot:].casefold() if dot >= 0 else ""
    return ending if ending in READABLE else ""


def _place(path: str, length: int) -> str:
    """What lies above the last parts of a path."""
    return "/".join(path.split("/")[:-length]) or "the folder itself"


@lru_cache(maxsize=4096)
def _says_masks(folder: str) -> bool | None:
    """Whether a folder of this name holds masks, or images; None where it does not say."""
    words = _words(folder)
    if words & _BOTH:
        return None
    if any(word.startswith("mask") or word.endswith(("mask", "masks")) for word in words):
        return True
    if words & _OTHERS and words <= _OTHERS | _PLAIN:
        return True
    return False if words & _IMAGES else None


def _words(folder: str) -> set[str]:
    return {word.casefold() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", folder)}


def _some(names: Collection[str]) -> str:
    every = [visible(name) for name in names]
    return ", ".join(every[:_SHOWN]) + (f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else "")
