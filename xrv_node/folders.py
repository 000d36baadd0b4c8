"""The files below a folder that a person names, links to other disks among them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from xrv_node import reasons
from xrv_node.reasons import Reason

Trouble = Callable[[Path, Reason], None]
"""Is told what cannot be looked into, and why."""

_OF_A_MAC = "__MACOSX"
"""What a Mac puts into its zip archives beside the files: a ``._name`` for each."""


def is_left_out(name: str) -> bool:
    """Whether a file or folder of this name is nobody's data: hidden, or a Mac's own."""
    return name.startswith(".") or name == _OF_A_MAC


def below(folder: Path, trouble: Trouble) -> Iterator[str]:
    """Walk a folder to the bottom.

    Links are followed, as datasets on a cluster are folders of links to other disks. Each folder is looked
    into once, under its own name rather than a link's: a circle of links ends, and no file comes twice.

    Parameters
    ----------
    folder
        Where to begin; it may be a link itself.
    trouble
        Told of folders that cannot be listed, and of links that lead nowhere.

    Yields
    ------
    str
        Files, relative to `folder`; those of a folder before those of its folders, each in the order of their
        names, what lies behind links last. Names of `is_left_out` are.
    """
    whole = set[str]()  # real paths that were walked to the bottom
    linked = deque([""])
    while linked:
        start = linked.popleft()
        top = os.path.realpath(folder / start)
        if any(above in whole for above in _and_above(top)):
            continue
        own = [(start, top)]
        while own:
            place, real = own.pop()
            if real in whole:
                continue
            try:
                with os.scandir(folder / place) as listing:
                    entries = sorted(listing, key=lambda entry: entry.name)
            except OSError as error:
                trouble(folder / place, Reason("folder-not-listed", why=reasons.of_system(error)))
                continue
            deeper = []
            for entry in entries:
                name = f"{place}/{entry.name}" if place else entry.name
                if is_left_out(entry.name):
                    continue
                if _leads_nowhere(entry):
                    trouble(folder / name, Reason("link-leads-nowhere"))
                elif entry.is_file():
                    yield name
                elif entry.is_symlink():
                    linked.append(name)
                elif entry.is_dir():
                    deeper.append((name, f"{real}{os.sep}{entry.name}"))
            own += reversed(deeper)
        whole.add(top)


def _and_above(path: str) -> Iterator[str]:
    """A path, and the folders that it lies in."""
    while path:
        yield path
        path = os.path.dirname(path) if os.path.dirname(path) != path else ""


def _leads_nowhere(entry: os.DirEntry[str]) -> bool:
    """Whether it is a link to what is not there, to itself, or to what nobody here may see."""
    if not entry.is_symlink():
        return False
    try:
        entry.stat()
    except OSError:
        return True
    return False
