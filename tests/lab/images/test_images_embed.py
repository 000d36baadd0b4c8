"""Feature vectors against torchxrayvision's, and the file that they are kept in."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import untrained
from images_cases import draw
from untrained import seeded_state

from xrv_node.errors import ConfigError
from xrv_node.lab.images.embed import Embedded, check, embed, write
from xrv_node.models import catalog
from xrv_node.radiograph.prepare import prepare
from xrv_node.radiograph.read import read

xrv = pytest.importorskip("torchxrayvision")


def vectors(paths: list[Path], weights: str) -> list[Embedded]:
    results = list(embed(paths, weights))
    assert all(isinstance(r, Embedded) for r in results)
    return results


def test_a_classifier_s_features_are_torchxrayvision_s(tmp_path: Path) -> None:
    paths = [draw(tmp_path / f"{n}.png", n) for n in range(2)]
    theirs = xrv.models.DenseNet(weights=None)
    theirs.load_state_dict(seeded_state(catalog.find("all")))
    x = torch.from_numpy(np.stack([prepare(read(path), 224) for path in paths]))[:, None]
    with torch.no_grad():
        expected = theirs.eval().features2(x).numpy()
    found = np.stack([v.features for v in vectors(paths, "all")])
    assert found.shape == (2, 1024)
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


def test_the_autoencoder_s_features_are_its_latent_averaged(tmp_path: Path) -> None:
    path = draw(tmp_path / "a.png")
    (found,) = vectors([path], "101-elastic")
    assert found.features.shape == (512,)
    x = torch.from_numpy(prepare(read(path), 224))[None, None]
    with torch.no_grad():
        latent = untrained.get_model("101-elastic").encode(x)
    assert np.allclose(found.features, latent.mean(dim=(2, 3))[0].numpy(), rtol=1e-4, atol=1e-5)


def test_the_file_holds_ids_features_and_what_made_them(tmp_path: Path) -> None:
    paths = [draw(tmp_path / f"{n}é.png", n) for n in range(3)]
    found = vectors(paths, "all")
    write(found, tmp_path / "deep" / "x.npz")
    with np.load(tmp_path / "deep" / "x.npz", allow_pickle=False) as kept:
        assert kept["ids"].tolist() == [str(path) for path in paths]
        assert kept["features"].dtype == np.float32
        assert np.array_equal(kept["features"], np.stack([v.features for v in found]))
        assert kept["model"] == "densenet121-res224-all"
        assert kept["notice"] == ""


def test_parquet_holds_the_same(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    found = vectors([draw(tmp_path / "a.png")], "all")
    write(found, tmp_path / "x.parquet")
    table = parquet.read_table(tmp_path / "x.parquet")
    assert table["id"].to_pylist() == [str(tmp_path / "a.png")]
    assert np.allclose(table["features"].to_pylist()[0], found[0].features)
    assert table.schema.metadata[b"notice"] == b""


def test_parquet_without_pyarrow_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"pyarrow, which is not installed: install it, or write \.npz"):
        check(Path("x.parquet"))


def test_another_form_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"must end in one of \.npz, \.parquet"):
        check(Path("x.csv"))


def test_a_segmenter_has_no_vector(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no features: name a classifier or an autoencoder"):
        embed(tmp_path / "a.png", "chestx_det")
