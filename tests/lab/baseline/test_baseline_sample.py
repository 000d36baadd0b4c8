"""A sample's file, and files that are none."""

from __future__ import annotations

import numpy as np
import pytest

from xrv_node.errors import XrvNodeError
from xrv_node.lab.baseline.sample import Sample, load, save


def test_a_sample_comes_back_from_its_file(tmp_path):
    generator = np.random.default_rng(0)
    given = Sample(
        "a sample",
        "m1",
        {"Effusion": generator.random(40).astype(np.float32)},
        generator.random(40).astype(np.float32),
        generator.normal(size=(40, 16)).astype(np.float32),
        {"PatientAge": np.where(np.arange(40) % 10, 50, np.nan).astype(np.float32)},
        {"Manufacturer": ("A", "") * 20},
    )
    save(given, tmp_path / "b.npz")
    found = load(tmp_path / "b.npz")
    assert (found.what, found.model_set, found.words) == (given.what, given.model_set, given.words)
    assert np.array_equal(found.embedding, given.embedding)
    assert np.array_equal(found.scores["Effusion"], given.scores["Effusion"])
    assert np.array_equal(found.numbers["PatientAge"], given.numbers["PatientAge"], equal_nan=True)


def test_other_files_are_refused_in_a_sentence(tmp_path):
    with pytest.raises(XrvNodeError, match="does not exist"):
        load(tmp_path / "none.npz")
    (tmp_path / "b.npz").write_bytes(b"PK\3\4 nothing")
    with pytest.raises(XrvNodeError, match="a baseline"):
        load(tmp_path / "b.npz")
    np.savez(tmp_path / "p.npz", words=np.array([{}], dtype=object))
    with pytest.raises(XrvNodeError, match="a baseline"):
        load(tmp_path / "p.npz")
