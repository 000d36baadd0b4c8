"""Views: the owners' words for them, and what is done where nobody published any."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from xrv_node.lab.datasets.catalog import Options
from xrv_node.lab.datasets.folder import Folder

_VIEWS = {
    **dict.fromkeys(("L", "LATERAL", "LARGE LATERAL"), "L"),
    **dict.fromkeys(("", "UNK", "UNKNOWN"), "UNKNOWN"),
    "AP_HORIZONTAL": "AP Supine",
    "AP SUPINE": "AP Supine",
}
"""The owners' words for a view, in capitals. LATERAL is OpenI's and MIMIC-CXR's, L that of CheXpert and
PadChest, AP_horizontal and UNK PadChest's, Unknown torchxrayvision's; all others stay."""

_VAGUE = {"UNKNOWN", "FRONTAL", "L", "LL", "RL"}
"""Views of files that do not tell PA from AP."""


def with_sides(views: Iterable[str]) -> set[str]:
    """Return the views, and with ``L`` the laterals whose side is published (LL, RL: PS3.3 C.8.1.1)."""
    wanted = set(views)
    return wanted | {"LL", "RL"} if "L" in wanted else wanted


def in_our_words(views: pd.Series) -> pd.Series:
    """Return the views in the words that all datasets have here; a missing one is UNKNOWN."""
    text = views.astype(object).where(views.notna(), "").astype(str).str.strip()
    words = {word: _VIEWS.get(word.upper(), word) for word in text.unique()}
    return text.map(words)


def as_published(folder: Folder, views: pd.Series, usual: set[str]) -> set[str]:
    """Return the usual views, or what there is instead where the files in the folder do not tell PA from AP.

    A note says which images are kept, or left out, for want of a view.
    """
    there = set(views)
    if there & usual and "UNKNOWN" in there - usual and "*" not in usual:
        unknown = int((views == "UNKNOWN").sum())
        folder.notes.append(f"{unknown} images whose view nobody says are left out; --view UNKNOWN has them")
    if (
        "*" in usual
        or there & usual
        or not there
        or not there <= _VAGUE
        or not there & {"UNKNOWN", "FRONTAL"}
    ):
        return usual
    kept = there & {"UNKNOWN", "FRONTAL"}
    count = int(views.isin(kept).sum())
    folder.notes.append(
        f"no file here says which images are {' or '.join(sorted(usual))}: all {count} of view "
        f"{' and '.join(sorted(kept))} are kept"
        + (f"; to choose by view add {folder.entry.views_in}" if folder.entry.views_in else "")
    )
    return kept


def what_to_do(folder: Folder, there: str) -> str:
    """Return what a person may do who asked for a view that no file tells, as a clause; else nothing."""
    if not set(there.split(", ")) <= _VAGUE:
        return ""
    return f"; take --view '*'{f' or add {folder.entry.views_in}' if folder.entry.views_in else ''}"


def kept(options: Options, views: pd.Series) -> tuple[str, ...]:
    """Return the views that were asked for, or those that there are, where `as_published` kept others."""
    there = {str(view) for view in views}
    usual = with_sides(options.views)
    if options.views_asked or options.xrv_compatible or "*" in usual or there & usual:
        return options.views
    return tuple(sorted(there))
