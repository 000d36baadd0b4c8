"""Where the owner publishes no patients, nothing that comes out of a training says that it was divided by them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import trained

from xrv_node.lab.datasets import tools
from xrv_node.lab.datasets.catalog import entries
from xrv_node.lab.datasets.table import LabelTable
from xrv_node.lab.train.recipe import load
from xrv_node.lab.train.run import train
from xrv_node.models import trained_here

pytestmark = pytest.mark.usefixtures("small")

RECIPE = load(init="scratch", batch=8, epochs=1, valid_share=0.2, test_share=0.2)
WITHOUT = [entry.name for entry in entries() if not entry.patients_published]


def named(folder: Path, name: str, seed: int = 0) -> LabelTable:
    return replace(trained.table(folder, 24, seed=seed), name=name)


def card_of(tables: list[LabelTable], out: Path) -> tuple[str, tuple[str, ...], dict[str, object]]:
    done = train(tables, RECIPE, out, out, name="any", device="cpu")
    known = trained_here.described(done.weights.path)
    assert known is not None
    return done.card.read_text(), known.cautions, json.loads((out / "figures.json").read_text())


@pytest.mark.parametrize("name", WITHOUT)
def test_the_card_of_each_such_dataset_says_so(name: str, tmp_path: Path):
    card, cautions, figures = card_of([named(tmp_path / "images", name)], tmp_path / "out")
    title = next(entry.title for entry in entries() if entry.name == name)
    doubt = f"Of {title} no patients are published: images of one patient may be in two parts"
    assert f"Divided by images. {doubt}" in card
    assert "none is in two parts" not in card
    assert "rounds of the bootstrap over images." in card
    assert card.count("| not published |") == 3
    assert any(one.startswith(doubt) for one in cautions)
    assert figures["patients"] is None


def test_where_they_are_published_nothing_is_doubted(tmp_path: Path):
    card, cautions, figures = card_of([named(tmp_path / "images", "nih")], tmp_path / "out")
    assert "Divided by patients: none is in two parts.\n" in card
    assert "not published" not in card
    assert not any("no patients are published" in one for one in cautions)
    assert isinstance(figures["patients"], int)


def test_of_merged_tables_it_is_said_by_dataset(tmp_path: Path):
    tables = [named(tmp_path / "a", "nih"), named(tmp_path / "b", "siim-acr", seed=1)]
    card, _, figures = card_of(tables, tmp_path / "out")
    assert (
        "Divided by patients where they are published. Of SIIM-ACR Pneumothorax Segmentation no pat" in card
    )
    assert ", and those of " in next(line for line in card.splitlines() if line.startswith("| train |"))
    assert figures["patients"] is None
    assert tools.merge(tables).csv["which_dataset"].tolist() == [0] * 24 + [1] * 24
