"""From the node's own database to the page: `monitor baseline` and `monitor report`."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from analysed import Networks, Site, image
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from xrv_node.cli import app
from xrv_node.db.store import Store
from xrv_node.lab.baseline.sample import Sample, load
from xrv_node.lab.monitor import page
from xrv_node.lab.monitor.drift import compare
from xrv_node.spool import Spool


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """A configuration whose database and spool hold 63 analysed images of 60 patients."""
    config = tmp_path / "node.toml"
    config.write_text('[node]\ndata_dir = "data"\n')
    store = Store(f"sqlite:///{tmp_path / 'data' / 'xrv-node.sqlite'}")
    store.migrate()
    site = Site(store, Spool(tmp_path / "data"))
    generator = np.random.default_rng(0)
    for study, number in enumerate((7, 7, 7, *range(60))):
        scores = {"Effusion": float(generator.random()), "Mass": 0.25}
        patient = {
            "PatientID": f"ID {number}",
            "PatientAge": f"{20 + number:03d}Y",
            "PatientName": "PLANTED^NAME",
        }
        maker = {"Manufacturer": "Earlier maker" if study < 3 else "Maker"}
        site.analyse(image(study, **maker, **patient), networks=Networks(scores))
    store.close()
    return config


def test_a_node_compared_with_itself_is_stable(node: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke
    made = run(app, ["monitor", "baseline", str(tmp_path / "b.npz"), "--config", str(node)])
    assert made.exit_code == 0, made.output
    assert "60 images" in made.output
    baseline = load(tmp_path / "b.npz")
    assert baseline.words["Manufacturer"] == ("Maker",) * 60  # the newest image of each patient
    assert sorted(baseline.numbers["PatientAge"]) == list(range(20, 80))
    out = tmp_path / "out"
    report = run(
        app,
        [
            "monitor",
            "report",
            "--baseline",
            str(tmp_path / "b.npz"),
            "--out",
            str(out),
            "--config",
            str(node),
        ],
    )
    assert report.exit_code == 0, report.output
    assert "moved" not in report.output
    assert "60 of the images of now are in the baseline too, which hides a shift" in report.output
    written = (out / "drift.html").read_text() + (out / "drift.prom").read_text()
    assert "PLANTED" not in written
    assert "<script" not in written
    levels = {
        sample.labels["name"]: sample.value
        for family in text_string_to_metric_families((out / "drift.prom").read_text())
        for sample in family.samples
        if sample.name == "xrv_node_drift_level"
    }
    assert levels["Effusion"] == 0
    assert all((out / name).stat().st_mode & 0o004 for name in ("drift.html", "drift.prom"))
    assert set(levels) >= {"Effusion", "Mass", "error", "Manufacturer", "PatientAge"}


def sample(shift: float, images: int = 100, what: str = "x <b> & y") -> Sample:
    """Random images, moved by a shift."""
    generator = np.random.default_rng(1)
    return Sample(
        what,
        "m",
        {"Effusion": (generator.random(images) + shift).astype(np.float32)},
        generator.random(images).astype(np.float32),
        (generator.normal(size=(images, 8)) + shift).astype(np.float32),
        {},
        {"Manufacturer": ('<img src="x">',) * images},
    )


def test_too_few_images_are_no_good_news() -> None:
    drift = compare(sample(0), sample(0.5, 49))
    text = page.html(drift)
    assert "Nothing was compared: it takes 50 images of as many patients on either side" in text
    assert "100 in the baseline and 49 now" in text
    assert "shifted" not in text.partition("<table")[0]
    found = {f.name: f for f in text_string_to_metric_families(page.metrics(drift).decode())}
    assert found["xrv_node_drift_compared"].samples[0].value == 0
    assert found["xrv_node_drift_level"].samples == []  # 0 would read as stable


def test_untrained_networks_are_unmistakable() -> None:
    text = page.html(compare(sample(0), sample(0, what="now, PHANTOM MODEL SET - NOT FOR PATIENT IMAGES")))
    assert '<p class="warning">PHANTOM MODEL SET - NOT FOR PATIENT IMAGES' in text
    assert "warning" not in page.html(compare(sample(0), sample(0))).partition("</style>")[2]


def test_a_page_says_what_moved_and_is_well_formed() -> None:
    text = page.html(compare(sample(0), sample(0.5)))
    assert "hides a shift" not in text
    assert "1 of 3 quantities shifted: Effusion" in text
    assert "<b> & y" not in text
    assert "<img" not in text
    opened: list[str] = []

    class Balanced(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in ("meta", "rect", "br"):
                opened.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert tag == "rect" or opened.pop() == tag

    Balanced().feed(re.sub(r"<rect([^>]*)>(.*?)</rect>", "", text))
    assert opened == []


def test_nothing_received_is_one_sentence(tmp_path: Path, node: Path) -> None:
    result = CliRunner().invoke(
        app, ["monitor", "baseline", str(tmp_path / "b.npz"), "--days", "0.01", "--config", str(node)]
    )
    assert result.exit_code == 0  # they came just now
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "node.toml").write_text('[node]\ndata_dir = "data"\n')
    store = Store(f"sqlite:///{empty / 'data' / 'xrv-node.sqlite'}")
    store.migrate()
    store.close()
    result = CliRunner().invoke(
        app, ["monitor", "baseline", str(tmp_path / "c.npz"), "--config", str(empty / "node.toml")]
    )
    assert result.exit_code != 0
    assert "no analysed images" in str(result.exception)
