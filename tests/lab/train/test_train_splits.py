"""No patient in two parts, no row lost, and shares as near as the patients allow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from xrv_node.errors import DatasetError
from xrv_node.lab.datasets.table import COLUMNS, LabelTable
from xrv_node.lab.train.splits import split


def table(patients: list[str], labels: np.ndarray) -> LabelTable:
    frame = pd.DataFrame(dict.fromkeys(COLUMNS, "") | {"patientid": patients}, index=range(len(patients)))
    regions = np.empty(len(patients), dtype=object)
    regions[:] = [()] * len(patients)
    names = tuple(f"finding {i}" for i in range(labels.shape[1]))
    return LabelTable("any", Path(), names, labels.astype(np.float32), frame, regions)


@given(
    st.lists(st.sampled_from(["", *"abcdefgh"]), min_size=1, max_size=60),
    st.integers(0, 3),
    st.sampled_from([(0.1, 0.2), (0.4, 0.4), (0.05, 0.05)]),
)
def test_parts_are_disjoint_in_patients_and_whole(patients, seed, shares):
    random = np.random.default_rng(seed)
    labels = random.choice([0, 1, np.nan], (len(patients), 2), p=[0.6, 0.3, 0.1])
    different = len(set(patients) - {""}) + patients.count("")
    if different < 3:
        with pytest.raises(
            DatasetError, match=r"too few patients \(\d\): training, validation and test need one each"
        ):
            split(table(patients, labels), *shares, seed)
        return
    parts = split(table(patients, labels), *shares, seed)
    rows = [parts.train, parts.valid, parts.test]
    assert sorted(np.concatenate(rows).tolist()) == list(range(len(patients)))
    named = [{patients[row] for row in part} - {""} for part in rows]
    assert not named[0] & named[1]
    assert not named[0] & named[2]
    assert not named[1] & named[2]
    assert all(len(part) for part in rows)


def test_shares_of_images_and_of_findings_and_the_seed():
    random = np.random.default_rng(1)
    patients = [str(n) for n in random.integers(0, 400, 2000)]
    labels = (random.random((2000, 3)) < [0.3, 0.05, 0.01]).astype(float)
    whole = table(patients, labels)
    parts = split(whole, 0.1, 0.2, 7)
    for rows, share in ((parts.train, 0.7), (parts.valid, 0.1), (parts.test, 0.2)):
        assert len(rows) / 2000 == pytest.approx(share, abs=0.005)
        # a patient has five images, and each goes where its rarest finding sends it
        assert labels[rows].sum(axis=0) / labels.sum(axis=0) == pytest.approx([share] * 3, abs=0.08)
    again, other = split(whole, 0.1, 0.2, 7), split(whole, 0.1, 0.2, 8)
    assert np.array_equal(parts.valid, again.valid)
    assert not np.array_equal(parts.valid, other.valid)


def test_a_rare_finding_is_spread_as_well_as_scikit_learn_does():
    random = np.random.default_rng(2)
    patients = [str(n // 2) for n in range(600)]
    labels = np.repeat(random.permutation(300) < 15, 2)[:, None].astype(float)  # 15 patients have it
    parts = split(table(patients, labels), 0.2, 0.2, 0)
    ours = [labels[rows].sum() for rows in (parts.valid, parts.test)]
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0).split(labels, labels[:, 0], patients)
    theirs = [labels[rows].sum() for _, rows in folds]
    assert max(abs(n - 6) for n in ours) <= max(abs(n - 6) for n in theirs)


def test_rows_of_unnamed_patients_are_patients_of_their_own():
    parts = split(table([""] * 10, np.zeros((10, 1))), 0.2, 0.2, 0)
    assert [len(rows) for rows in (parts.train, parts.valid, parts.test)] == [6, 2, 2]
