"""From the node's own database to the page: `monitor baseline` and `monitor report`."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from analysed import Networks, Site, image
from prometheus_client.parser import text_string_to_metric_families
from pydicom import Dataset
from typer.testing import CliRunner

from xrv_node.audit.store import Store
from xrv_node.cli import app
from xrv_node.monitor import page
from xrv_node.monitor.drift import compare
from xrv_node.monitor.headers import columns
from xrv_node.monitor.sample import Sample, load
from xrv_node.receive.spool import Spool


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """A configuration whose database and spool hold 60 analysed images of 60 patients."""
    config = tmp_path / "node.toml"
    config.write_text('[node]\ndata_dir = "data"\n')
    store = Store(f"sqlite:///{tmp_path / 'data' / 'xrv-node.sqlite'}")
    store.migrate()
    site = Site(store, Spool(tmp_path / "data"))
    generator = np.random.default_rng(0)
    for number in range(60):
        scores = {"Effusion": float(generator.random()), "Mass": 0.25}
        maker = {"Manufacturer": "Maker", "PatientAge": f"{20 + number:03d}Y", "PatientName": "PLANTED^NAME"}
        site.analyse(image(number, **maker), networks=Networks(scores))
    store.close()
    return config


def test_a_node_compared_with_itself_is_stable(node: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke
    made = run(app, ["monitor", "baseline", str(tmp_path / "b.npz"), "--config", str(node)])
    assert made.exit_code == 0, made.output
    assert "60 images" in made.output
    baseline = load(tmp_path / "b.npz")
    assert baseline.words["Manufacturer"] == ("Maker",) * 60
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
    assert set(levels) >= {"Effusion", "Mass", "error", "Manufacturer", "PatientAge"}


def test_a_page_says_what_moved_and_is_well_formed() -> None:
    def sample(shift: float) -> Sample:
        generator = np.random.default_rng(1)
        return Sample(
            "x <b> & y",
            "m",
            {"Effusion": (generator.random(100) + shift).astype(np.float32)},
            generator.random(100).astype(np.float32),
            (generator.normal(size=(100, 8)) + shift).astype(np.float32),
            {},
            {"Manufacturer": ('<img src="x">',) * 100},
        )

    text = page.html(compare(sample(0), sample(0.5)))
    assert "1 of 3 quantities shifted: Effusion" in text
    assert "<b> & y" not in text
    assert "<img" not in text
    opened: list[str] = []

    class Balanced(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in ("meta", "rect"):
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


def test_ages_are_years_and_nonsense_is_absent() -> None:
    headers = [Dataset() for _ in range(4)]
    for header, age in zip(headers, ("045Y", "006M", "", "abcY"), strict=True):
        header.PatientAge = age
    numbers, words = columns(headers)
    assert numbers["PatientAge"][:2] == pytest.approx([45, 0.5])
    assert np.isnan(numbers["PatientAge"][2:]).all()
    assert words["Manufacturer"] == ("",) * 4
