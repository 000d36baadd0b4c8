"""The tools against torchxrayvision's, on tables that both can take."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from xrv_node.errors import DatasetError
from xrv_node.lab.datasets import tools
from xrv_node.lab.datasets.statistics import statistics
from xrv_node.lab.datasets.table import LabelTable, Region

xrv = pytest.importorskip("torchxrayvision")


def table(name: str = "nih", count: int = 40, seed: int = 0, root: Path = Path("/data/nih")) -> LabelTable:
    random = np.random.default_rng(seed)
    labels = random.choice([0, 1, np.nan], (count, 3), p=[0.6, 0.3, 0.1]).astype(np.float32)
    numbers = np.arange(count)
    csv = pd.DataFrame(
        {
            "image": [f"{number}.png" for number in numbers],
            "patientid": [str(number // 3) if number < count - 2 else "" for number in numbers],
            "view": random.choice(["PA", "AP", "L"], count),
            "offset_day_int": np.nan,
            "age_years": random.integers(18, 90, count).astype(float),
            "sex": random.choice(["M", "F", ""], count),
            "has_masks": numbers == 1,
            "own": numbers,
        }
    )
    regions = np.empty(count, dtype=object)
    regions[:] = [()] * count
    regions[1] = (Region("Lungs", "file", "masks/1.png", semantic=True), Region("Mass", "xywh", (1, 2, 3, 4)))
    return LabelTable(name, root, ("Effusion", "Mass", "Nodule"), labels, csv, regions)


def theirs(ours: LabelTable) -> xrv.datasets.Dataset:
    """The same rows as an object of torchxrayvision's, which it changes."""

    class Plain(xrv.datasets.Dataset):  # type: ignore[misc, name-defined]
        def __len__(self) -> int:
            return len(self.labels)

    plain = Plain()
    plain.pathologies, plain.labels, plain.csv = list(ours.pathologies), ours.labels.copy(), ours.csv.copy()
    return plain


def test_relabel() -> None:
    ours, original = table(), theirs(table())
    names = ["Nodule", "Hernia", "Effusion"]
    xrv.datasets.relabel_dataset(names, original, silent=True)
    relabelled = tools.relabel(names, ours)
    np.testing.assert_array_equal(relabelled.labels, original.labels)
    assert relabelled.pathologies == tuple(names)
    assert relabelled.labels.dtype == np.float32
    assert ours.pathologies == ("Effusion", "Mass", "Nodule")


def test_merge_and_subset() -> None:
    one, two = table(seed=1), table("rsna", 25, 2, Path("/data/rsna"))
    original = xrv.datasets.MergeDataset([theirs(one), theirs(two)])
    merged = tools.merge([one, two])
    np.testing.assert_array_equal(merged.labels, original.labels)
    assert merged.csv["own"].tolist() == original.csv["own"].tolist()
    assert merged.csv["which_dataset"].tolist() == original.which_dataset.tolist()
    rows = [0, 64, 41, 3]
    np.testing.assert_array_equal(
        tools.subset(merged, rows).labels, xrv.datasets.SubsetDataset(original, rows).labels
    )
    assert tools.subset(merged, rows).csv["own"].tolist() == [0, 24, 1, 3]
    assert len(tools.subset(merged, [])) == 0


def test_a_merged_table_leads_to_the_same_files_and_keeps_patients_apart() -> None:
    one, two = table(), table("rsna", root=Path("/data/rsna"))
    merged = tools.merge([one, two])
    assert merged[0].image == one[0].image
    assert merged[-1].image == two[-1].image
    mask, box = merged.regions[41]
    assert merged.root / mask.data == two.root / "masks/1.png"
    assert box == two.regions[1][1]
    assert merged[0].patientid == "nih:0"
    assert merged[40].patientid == "rsna:0"
    assert merged[39].patientid == ""
    again = tools.merge([merged, table("nih-google", root=Path("/data/nih"))])
    assert again[0].patientid == again[80].patientid == "nih:0"
    assert again[80].image == one[0].image


def test_merging_other_labels_is_refused() -> None:
    with pytest.raises(DatasetError, match="rsna and nih have other labels; relabel them first"):
        tools.merge([table(), tools.relabel(["Mass"], table("rsna"))])
    with pytest.raises(DatasetError, match="nih has no label Pneumonia"):
        tools.filter_labels(table(), ["Pneumonia"])


def test_views_and_patients() -> None:
    ours = table()
    frontal = tools.limit_to_selected_views(ours, ["PA", "AP"])
    original = theirs(ours)
    original.limit_to_selected_views(["PA", "AP"])
    assert frontal.csv["own"].tolist() == original.csv["own"].tolist()
    assert len(tools.limit_to_selected_views(ours, ["*"])) == len(ours)
    assert tools.unique_patients(ours).csv["own"].tolist() == [*range(0, 38, 3), 38, 39]


def test_a_lateral_of_a_published_side_is_a_lateral() -> None:
    some = table(count=4)
    some = replace(some, csv=some.csv.assign(view=["L", "LL", "RL", "PA"]))
    assert tools.limit_to_selected_views(some, ["L"]).csv["view"].tolist() == ["L", "LL", "RL"]
    assert tools.limit_to_selected_views(some, ["RL"]).csv["view"].tolist() == ["RL"]
    theirs = tools.limit_to_selected_views(replace(some, xrv_compatible=True), ["L"])
    assert theirs.csv["view"].tolist() == ["L"]


@pytest.mark.parametrize("mode", ["train", "valid", "test"])
@pytest.mark.parametrize(
    ("ratio", "nsamples", "seed"), [(0.5, None, 0), (0.75, None, 3), (0.0, 101, 1), (1.0, None, 0)]
)
def test_covariate_shift(mode: tools.Mode, ratio: float, nsamples: int | None, seed: int) -> None:
    one, two = table(count=900, seed=4), table("padchest", 1500, 5, Path("/data/pc"))
    targets = [np.nan_to_num(each.labels[:, 1]) for each in (one, two)]
    original = xrv.datasets.CovariateDataset(
        theirs(one), targets[0], theirs(two), targets[1], ratio=ratio, mode=mode, seed=seed, nsamples=nsamples
    )
    state = np.random.get_state()[1].copy()
    shifted = tools.covariate_shift(
        one, targets[0], two, targets[1], ratio=ratio, mode=mode, seed=seed, nsamples=nsamples
    )
    assert (np.random.get_state()[1] == state).all()
    np.testing.assert_array_equal(shifted.labels, original.labels)
    assert shifted.csv["site"].tolist() == original.site.tolist()
    assert shifted.csv["own"].tolist() == original.csv["own"].tolist()
    assert shifted.pathologies == ("Custom",)


def test_covariate_shift_refuses_what_cannot_be_drawn() -> None:
    ours = table()
    good = np.nan_to_num(ours.labels[:, 1])
    with pytest.raises(DatasetError, match="neither 0 nor 1"):
        tools.covariate_shift(ours, ours.labels[:, 1], ours, good)
    with pytest.raises(DatasetError, match="no image with"):
        tools.covariate_shift(ours, np.zeros(len(ours)), ours, good)
    with pytest.raises(DatasetError, match="lies in"):
        tools.covariate_shift(ours, good, ours, good, ratio=1.5)


def test_a_table_is_read_row_by_row_and_never_changed() -> None:
    ours = table()
    item = ours[-1]
    assert (item.idx, item.image) == (39, Path("/data/nih/39.png"))
    np.testing.assert_array_equal(item.lab, ours.labels[39])
    assert len(list(ours)) == 40
    with pytest.raises(IndexError):
        ours[40]
    with pytest.raises(ValueError, match="read-only"):
        ours.labels[0, 0] = 1
    with pytest.raises(ValueError, match="do not fit together"):
        LabelTable("x", ours.root, ours.pathologies, ours.labels[:-1], ours.csv, copy(ours.regions))


def test_statistics_are_those_of_the_columns() -> None:
    ours = table()
    numbers = statistics(ours)
    assert numbers["images"] == 40
    assert numbers["patients"] == 13
    assert sum(numbers["views"].values()) == sum(numbers["sex"].values()) == 40
    assert numbers["age_years"]["max"] == ours.csv["age_years"].max()
    for row in numbers["labels"]:
        counted = ours.totals()[row["label"]]
        assert (row["present"], row["absent"]) == (counted[1.0], counted[0.0])
        assert row["present"] + row["absent"] + row["unknown"] == 40
    scores = tools.subset(ours, [0, 1])
    severity = LabelTable("x", ours.root, ("Extent",), np.float32([[2.5], [4]]), scores.csv, scores.regions)
    assert statistics(severity)["labels"] == [{"label": "Extent", "unknown": 0, "mean": 3.25}]
