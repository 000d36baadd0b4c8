"""An analysis goes to disk and comes back the same, or not at all."""

from __future__ import annotations

import dataclasses
import io
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xrv_node import durable, reasons
from xrv_node.analyse.analysis_file import load, save
from xrv_node.errors import XrvNodeError
from xrv_node.reasons import Reason, as_is
from xrv_node.values import Analysis, Finding, Frame, ModelIdentity, ModelSet

RNG = np.random.default_rng(11)


def an_analysis(side: int = 512, structures: int = 14) -> Analysis:
    polygon = tuple((float(x), float(y)) for x, y in RNG.random((7, 2)) * 1000)
    findings = (
        Finding("Effusion", float(np.float32(0.7012345)), 0.1 + 0.2, (*polygon, polygon[0])),
        Finding("Mass", 1 / 3, float(np.nextafter(0, 1))),
    )
    rows, columns = np.mgrid[0:side, 0:side]
    masks = np.stack([(rows - 9 * k) ** 2 + (columns - 200) ** 2 < (60 + k) ** 2 for k in range(structures)])
    return Analysis(
        sop_instance_uid="1.2.826.0.1.3680043.8.498.5",
        model_set=ModelSet(
            *(
                ModelIdentity(role, f"network-{role}", "ab" * 32)
                for role in ("classifier", "segmenter", "autoencoder")
            ),
            phantom=True,
        ),
        findings=findings,
        structures=tuple(f"Structure {k}" for k in range(structures)),
        masks=masks,
        frame=Frame(3001, 2500, 250, 0, 2500),
        reconstruction_error=123.456789012345,
        embedding=RNG.random(512, dtype=np.float32),
        resampler="résampler ✓",
        ssim=0.1 + 0.7,
        quality=(Reason("one-lung"), as_is("Another.")),
        refused=as_is("The image is unlike those that the node is set up for."),
        maps=RNG.random((2, 7, 7), dtype=np.float32),
        picture=np.cumsum(RNG.integers(-2, 3, (2 * side, side)), axis=1).astype(np.uint8),
    )


def same(one: Analysis, other: Analysis) -> bool:
    arrays = ("masks", "embedding", "maps", "picture")
    plain = [f.name for f in dataclasses.fields(Analysis) if f.name not in arrays]
    return all(getattr(one, name) == getattr(other, name) for name in plain) and all(
        _same_array(getattr(one, name), getattr(other, name)) for name in arrays
    )


def _same_array(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.dtype == other.dtype and np.array_equal(one, other)


def test_a_file_of_before_holds_sentences_and_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    analysis = an_analysis(5, 3)
    with monkeypatch.context() as before:
        before.setattr(reasons, "plain", str)
        save(analysis, tmp_path / "analysis.npz")
    read = load(tmp_path / "analysis.npz")
    assert read.quality == (as_is("The anatomy network found one lung only."), as_is("Another."))
    assert read.refused == analysis.refused


@pytest.mark.parametrize(("side", "structures"), [(512, 14), (5, 3), (1, 1)])
def test_round_trip_is_exact(tmp_path: Path, side: int, structures: int) -> None:
    analysis = an_analysis(side, structures)
    path = tmp_path / "new" / "analysis.npz"
    save(analysis, path)
    assert same(load(path), analysis)
    assert sorted(p.name for p in path.parent.iterdir()) == ["analysis.npz"]


def test_the_site_s_operating_points_are_kept_with_it(tmp_path: Path) -> None:
    before = an_analysis(5, 3)
    points = (("Lung Lesion", 0.1 + 0.2), ("Mass", 1e-5))
    classifier = dataclasses.replace(before.model_set.classifier, site_thresholds=points)
    own = dataclasses.replace(before, model_set=dataclasses.replace(before.model_set, classifier=classifier))
    save(own, tmp_path / "a.npz")
    assert load(tmp_path / "a.npz").model_set.digest == own.model_set.digest != before.model_set.digest


def test_an_analysis_of_before_pictures_were_kept_is_read(tmp_path: Path) -> None:
    old = dataclasses.replace(an_analysis(), maps=None, picture=None)
    save(old, tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as file:
        assert sorted(file) == ["embedding", "masks", "words"]  # what those files hold
    assert same(load(tmp_path / "a.npz"), old)


def test_is_small(tmp_path: Path) -> None:
    save(dataclasses.replace(an_analysis(), maps=None, picture=None), tmp_path / "a.npz")
    assert (tmp_path / "a.npz").stat().st_size < 40_000  # 3.7 MB of booleans


def test_the_same_analysis_makes_the_same_bytes(tmp_path: Path) -> None:
    analysis = an_analysis()
    save(analysis, tmp_path / "a.npz")
    save(analysis, tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "analysis.npz"
    first = an_analysis()
    save(first, path)

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save(an_analysis(), path)
    monkeypatch.undo()
    assert same(load(path), first)
    assert [p.name for p in tmp_path.iterdir()] == ["analysis.npz"]


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(XrvNodeError, match=r"analysis a\.npz is missing"):
        load(tmp_path / "a.npz")


def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (Path(tmp_path / "exploded"),))

    whole = tmp_path / "a.npz"
    whole.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(XrvNodeError, match="damaged"):
        load(whole)
    buffer = io.BytesIO()
    np.savez(buffer, words=np.array([Bomb()], dtype=object), masks=np.zeros(1), embedding=np.zeros(1))
    whole.write_bytes(buffer.getvalue())
    with pytest.raises(XrvNodeError, match="damaged"):
        load(whole)
    assert not (tmp_path / "exploded").exists()


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4), st.floats(0, 1)
)
def test_damage_is_named_or_harmless(tmp_path: Path, flips: list[tuple[float, int]], keep: float) -> None:
    whole = tmp_path / "whole.npz"
    if not whole.exists():
        save(an_analysis(16, 2), whole)
    data = bytearray(whole.read_bytes())
    for where, value in flips:
        data[int(where * len(data))] = value
    path = tmp_path / "damaged.npz"
    path.write_bytes(data[: int(keep * len(data))] if not flips else data)
    try:
        loaded = load(path)
    except XrvNodeError as error:
        message = str(error)
    else:
        assert same(loaded, load(whole))  # a zip member has a checksum: what is read is what was written
        return
    assert message == "The stored analysis damaged.npz is damaged: reprocess its study."
