"""The page of a validation: what it says first, what stands beside, and that a browser shows it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import validate_cases

from xrv_node.lab.statistics.intervals import Estimate
from xrv_node.lab.validate import plots
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


MARKUP = """<script>alert(1)</script><img src=x onerror="alert(1)"> ' onload='alert(1)' {{ 7 * 7 }} &amp; </style>"""


def with_markup(value: Any) -> Any:
    """A value with markup after each of its texts, but those that name a kind."""
    if isinstance(value, str):
        return value and value + MARKUP
    if isinstance(value, Mapping):
        return {with_markup(key): with_markup(one) for key, one in value.items()}
    if isinstance(value, tuple):
        return tuple(with_markup(one) for one in value)
    if is_dataclass(value) and not isinstance(value, type):
        names = {f.name for f in fields(value)} - {"by", "rule"}
        return replace(value, **{name: with_markup(getattr(value, name)) for name in names})
    return value


def test_markup_in_names_labels_and_reasons_is_text_on_the_page(monkeypatch):
    validation = validate_cases.with_every_part()
    clean = validate_cases.Page(html(validation))
    # letters of any kind are drawn as curves, and not what this is about
    for name in ("areas", "curves", "together", "groups"):
        monkeypatch.setattr(plots, name, lambda *given: b"<svg/>")
    spoiled = validate_cases.Page(html(with_markup(validation)))
    assert spoiled.tags == clean.tags
    assert spoiled.attributes == clean.attributes
    assert not spoiled.loaded
    text = " ".join(spoiled.texts)
    for name in ("NIH ChestX-ray14", "Atelectasis", "The <file> is damaged.", "Hernia", "Caution.", "Left Lung",
                 "XRVNODE@127.0.0.1:104", "Not read.", "200 images", "PA", "No report."):  # fmt: skip
        assert name + MARKUP in text, name


@pytest.mark.parametrize("name", ["$", "$\\frac{$", "a$b$c^{", "\\usepackage", "<script>&", "x" * 60])
def test_a_name_is_drawn_whatever_it_is_made_of(name: str) -> None:
    finding = replace(validate_cases.large().evaluation.findings[0], finding=name)
    assert b"<svg" in plots.areas([finding], {name: 0.8})


def test_a_home_that_is_no_address_is_no_link():
    validation = validate_cases.large()
    about = replace(validation.about, home="javascript://%0aalert(1)")
    assert "javascript://%0aalert(1)" in html(replace(validation, about=about))
    assert 'href="javascript' not in html(replace(validation, about=about))
