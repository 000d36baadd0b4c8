"""What a validation leaves behind: files that programs read, a page that a browser shows."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import validate_cases
from sklearn import metrics
from typer.testing import CliRunner

from xrv_node import __version__
from xrv_node.cli import app
from xrv_node.validate import report, thresholds
from xrv_node.validate.evaluate import evaluate
from xrv_node.validate.page import html
from xrv_node.validate.published import published
from xrv_node.validate.scored import Scored

OPTIONS = (
    *("--view", "*", "--all-images", "--commissioning", "--workers", "0", "--device", "cpu"),
    *("--threshold", "0.4", "--thresholds", "youden"),
)


class Page(HTMLParser):
    """Tags, texts, and whatever a page would load from elsewhere."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loaded += [v for k, v in attrs if k in ("src", "href") and v and not v.startswith("data:")]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def validated(folder: Path, out: Path, *more: str) -> str:
    ran = CliRunner().invoke(
        app, ["validate", "nih", "--images", str(folder), "--out", str(out), *OPTIONS, *more]
    )
    assert ran.exit_code == 0, ran.output + str(ran.exception)
    return ran.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of which one image is not there."""
    place = validate_cases.nih(tmp_path_factory.mktemp("nih") / "nih")
    (place / "images" / "00000011_000.png").unlink()
    return place


@pytest.fixture(scope="module")
def made(folder: Path, built_once: None) -> Path:
    """Where its validation was written."""
    validated(folder, folder.parent / "out")
    return folder.parent / "out"


def test_the_files_agree_with_scikit_learn(made: Path):
    with (made / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    told = json.loads((made / "metrics.json").read_text())
    assert told["notice"] == "Research software, not a medical device."
    assert told["about"]["left_out"] == {"The file cannot be read (No such file or directory).": 1}
    assert (told["about"]["rows"], told["about"]["used"], told["about"]["commissioning"]) == (12, 11, True)
    assert len(told["about"]["networks"][0].rpartition(" ")[2]) == 64
    scored = [row for row in rows if not row["left out"]]
    assert (len(rows), len(scored)) == (12, 11)
    truth = [int(row["image"][-16:-8]) % 3 == 0 for row in scored]
    scores = np.array([float(row["Effusion"]) for row in scored])
    (effusion,) = [f for f in told["evaluation"]["findings"] if f["finding"] == "Effusion"]
    assert effusion["auc"]["value"] == pytest.approx(metrics.roc_auc_score(truth, scores), abs=1e-6)
    assert effusion["at_chosen"]["threshold"] == 0.4
    with (made / "findings.csv").open(newline="") as file:
        lines = {row["finding"]: row for row in csv.DictReader(file)}
    assert float(lines["Effusion"]["auc"]) == effusion["auc"]["value"]
    assert lines["Hernia"]["why_not"] == "every one of the 11 images is without the finding"
    assert told["published"] is None  # figures of trained networks are nothing to compare these with


def test_the_page_stands_alone_and_says_what_it_is_of(made: Path):
    page = Page((made / "report.html").read_text())
    text = " ".join(page.texts)
    assert not page.loaded
    assert not {"script", "link", "iframe"} & set(page.tags)
    assert "img" in page.tags
    for words in (
        "COMMISSIONING - NOT A RESULT",
        "Research software, not a medical device.",
        "11 of 12 scored",
        "1: The file cannot be read (No such file or directory).",
        "densenet121-res224-all (untrained)",
        f"xrv-node {__version__}, {json.loads((made / 'metrics.json').read_text())['about']['date']}",
        "all images of each patient",
        "None can be compared",
    ):
        assert words in text, words


def test_thresholds_are_a_table_of_the_nodes_configuration(made: Path):
    from xrv_node import settings

    told = json.loads((made / "metrics.json").read_text())
    written = tomllib.loads((made / "thresholds.toml").read_text())["models"]["thresholds"]
    youden = {
        f["finding"]: s["threshold"]
        for f in told["evaluation"]["findings"]
        for s in f["suggestions"]
        if s["rule"] == "youden"
    }
    assert written == pytest.approx(youden, rel=1e-5)
    loaded = settings.load(made / "thresholds.toml").models.thresholds
    assert loaded == written
    assert set(loaded) == {"Effusion", "Mass", "Nodule"}


def test_a_threshold_that_is_written_is_one_that_the_node_takes(tmp_path: Path):
    from xrv_node import settings

    near = [float(np.nextafter(np.float32(0.3), np.float32(end))) for end in (0, 1)]
    given = dict(zip("abcdef", (0.0, 1.0, 1 - 1e-12, 1e-300, *near), strict=True))
    (tmp_path / "node.toml").write_text(thresholds.as_toml(given, "all", "youden"))
    loaded = settings.load(tmp_path / "node.toml").models.thresholds
    inside = np.array([loaded[label] for label in given], np.float32)
    assert ((inside > 0) & (inside < 1)).all()
    assert inside[4:].tolist() == near  # to the last bit: no image changes sides


def test_a_second_run_scores_nothing_anew_and_says_the_same(made: Path, folder: Path, monkeypatch):
    from xrv_node.validate import run

    before = json.loads((made / "metrics.json").read_text())
    monkeypatch.setattr(run.models, "forward", None)  # a call would fail
    told = json.loads(validated(folder, made, "--json"))
    assert told["evaluation"] == before["evaluation"]


def test_an_unknown_rule_is_refused_before_anything_is_scored(dataset: Path, tmp_path: Path):
    ran = CliRunner().invoke(
        app,
        [
            *("validate", "nih", "--images", str(dataset), "--out", str(tmp_path / "out")),
            "--thresholds",
            "best",
        ],
    )
    assert str(ran.exception).startswith("no rule is called 'best': use one of youden, sensitivity_95")
    assert not (tmp_path / "out").exists()


def large(n: int = 400) -> report.Validation:
    """A validation with every part: subgroups, published figures, something left out."""
    generator = np.random.default_rng(3)
    names = ("Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Pneumothorax")
    labels = (generator.random((n, len(names))) < 0.3).astype(np.float32)
    logits = generator.normal(size=labels.shape) + 1.5 * labels - 1
    sigmoids = (1 / (1 + np.exp(-logits))).astype(np.float32)
    scored = Scored(
        names, sigmoids, labels, np.arange(n).astype(str), generator.choice(["M", "F"], n),
        generator.uniform(18, 90, n), generator.choice(["PA", "AP"], n), sigmoids, generator.random(n) < 0.02,
    )  # fmt: skip
    about = report.About(
        "nih", "NIH ChestX-ray14", "nihcc", "all views", n + 3, n, {"The <file> is damaged.": 3},
        ("Hernia",), ("densenet121-res224-all " + "0" * 64,), "the published ones", ("Caution.",), "exact",
        False, "0.1.0", "2026-03-01T00:00:00+00:00",
    )  # fmt: skip
    return report.Validation(about, evaluate(scored, rounds=20), published("nih", "densenet121-res224-all"))


@pytest.mark.peers
def test_a_browser_shows_every_plot(tmp_path: Path):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no Chromium is installed")
    (tmp_path / "report.html").write_text(html(large()))
    # the page has no script of its own; this one asks the browser what became of its pictures
    probe = (
        "<script>onload=()=>document.body.dataset.drawn=[...document.images].map(i=>i.naturalWidth)</script>"
    )
    (tmp_path / "probe.html").write_text((tmp_path / "report.html").read_text() + probe)
    shown = subprocess.run(
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", f"file://{tmp_path}/probe.html"],
        capture_output=True, text=True, check=True, timeout=120,
    ).stdout  # fmt: skip
    widths = shown.partition('data-drawn="')[2].partition('"')[0].split(",")
    assert len(widths) == 8
    assert all(int(width) > 300 for width in widths)


def test_published_figures_stand_beside_with_what_differs():
    page = Page(html(large()))
    text = " ".join(page.texts)
    assert "On a random fifth of each dataset" in text
    assert "0.88" in text
    assert "3: The <file> is damaged." in text
    assert "By sex" in text
    assert "The gate would have refused" in text
