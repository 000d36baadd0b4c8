"""The page of a validation: what it says first, what stands beside, and that a browser shows it."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import validate_cases

from xrv_node.lab.statistics.intervals import Estimate
from xrv_node.lab.validate.page import html
from xrv_node.lab.validate.verdict import beside_published, verdict


@pytest.mark.peers
def test_a_browser_shows_every_plot(tmp_path: Path):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no Chromium is installed")
    (tmp_path / "report.html").write_text(html(validate_cases.large()))
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
    page = validate_cases.Page(html(validate_cases.large()))
    text = " ".join(page.texts)
    assert "On a random fifth of each dataset" in text
    assert "0.88" in text
    assert "3: The <file> is damaged." in text
    assert "By sex" in text
    assert "The gate would refuse" in text


@pytest.mark.parametrize(
    ("low", "high", "positives", "expected", "beside"),
    [
        (0.51, 0.9, 50, "better", "like"),
        (0.5, 0.6, 50, "chance", "below"),
        (0.2, 0.49, 50, "worse", "below"),
        (0.81, 0.99, 50, "better", "above"),
        (0.81, 0.99, 9, "few", ""),
        (0.81, 0.99, 391, "few", ""),
        (None, None, 50, "few", ""),
    ],
)
def test_what_is_said_of_a_finding(low, high, positives, expected, beside):
    one = replace(
        validate_cases.large().evaluation.findings[0], auc=Estimate(0.7, low, high), positives=positives
    )
    assert verdict(one) == expected
    assert beside_published(one, 0.8) == beside
    assert beside_published(one, None) == ""


def test_the_page_begins_with_what_it_found():
    validation = validate_cases.large()
    worse = replace(validation.evaluation.findings[0], auc=Estimate(0.3, 0.2, 0.4))
    evaluation = replace(validation.evaluation, findings=(worse, *validation.evaluation.findings[1:]))
    text = " ".join(validate_cases.Page(html(replace(validation, evaluation=evaluation))).texts)
    short = text.partition("In short")[2].partition("Area under the ROC curve")[0]
    assert "Better than chance" in short
    assert "Worse than chance Atelectasis (AUC 0.30)" in short
    assert "Below the published figure Atelectasis (AUC 0.30, published 0.76)" in short
