"""The COVID-19 Image Data Collection: metadata.csv of its repository."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from xrv_node.lab.datasets import rows
from xrv_node.lab.datasets.catalog import Options
from xrv_node.lab.datasets.columns import UNKNOWN, Matching, Name, Number, Place, Words, ages
from xrv_node.lab.datasets.finder import members
from xrv_node.lab.datasets.folder import Folder
from xrv_node.lab.datasets.table import LabelTable, Region

_UNFINISHED = ("todo", "Unknown")
_MASKS = "semantic_masks_v7labs_lungs.zip"
"""Lung masks by V7 Labs, 255 inside, as torchxrayvision packed them."""
_ANOTHER = 127
"""The value of another structure in 51 of the 517 masks: V7's export gives each class a grey."""


COLUMNS = (
    Name("patientid", UNKNOWN),
    Number("offset", "unknown"),
    Words("sex", "unknown", words=("M", "F")),
    ages("age", blank="unknown"),
    Words(
        "finding",
        "left out, counted",
        words=(
            *(
                "No Finding",
                "Pneumonia",
                "Viral",
                "Bacterial",
                "Fungal",
                "Lipoid",
                "Aspiration",
                "Tuberculosis",
            ),
            *("COVID-19", "SARS", "MERS", "MERS-CoV", "ARDS", "Influenza", "H1N1", "Varicella", "Herpes"),
            *(
                "Streptococcus",
                "Staphylococcus",
                "MRSA",
                "Klebsiella",
                "Legionella",
                "Mycoplasma",
                "Nocardia",
            ),
            *("Chlamydophila", "E.Coli", "Pneumocystis", "Aspergillosis", *_UNFINISHED),
        ),
        between="/",
        alone=("No Finding", *_UNFINISHED),
    ),
    Matching("view", "unknown", pattern=r"[A-Za-z][A-Za-z -]*", form="a word in letters, which is the view"),
    Words("modality", UNKNOWN, needed=False, words=("X-ray", "CT")),
    Place("filename"),
)


TABLES = {"metadata.csv": COLUMNS}


def read(folder: Folder, options: Options) -> LabelTable:
    """Read the images with a finding; the labels are all words of the findings, ``Pneumonia/Viral/COVID-19``.

    torchxrayvision collects the words after it chose the views, so that other views have other labels, and
    labels an image by any part of a word.
    """
    frame = folder.table("metadata.csv", columns=COLUMNS, key="filename", as_is=options.xrv_compatible)
    done = frame["finding"].notna() & ~frame["finding"].isin(_UNFINISHED)
    if not done.all():
        folder.notes.append(f"{int((~done).sum())} images without a finding yet are left out")
    frame = frame[done]
    if "modality" in frame.columns and not options.xrv_compatible:
        frame = frame[frame["modality"] == "X-ray"]  # the collection has slices of CT too
    chosen = rows.selected(folder, frame, options, "patientid")
    words = chosen["finding"].str.split("/")
    every = words if options.xrv_compatible else frame["finding"].str.split("/")
    names = sorted({word for found in every for word in found})
    if options.xrv_compatible:
        labels = rows.containing(chosen["finding"], {name: (name,) for name in names})
    else:
        labels = np.array([[name in found for name in names] for found in words], dtype=np.float32)
    regions = rows.grouped(chosen["filename"], _lungs(folder))
    chosen = chosen.assign(
        offset_day_int=rows.years(chosen["offset"]),
        age_years=rows.years(chosen["age"]),
        image=folder.images(chosen["filename"]),
    )
    return rows.built(folder, options, chosen, labels, pathologies=names, regions=regions)


def _lungs(folder: Folder) -> Iterator[tuple[str, Region]]:
    if (path := folder.find(_MASKS, packed=("",))) is None:
        return
    archive = path.relative_to(folder.path).as_posix()
    for member in members(path):
        yield (
            member.rpartition("/")[2],
            Region("Lungs", "file", f"{archive}/{member}", None, True, (_ANOTHER,)),
        )
