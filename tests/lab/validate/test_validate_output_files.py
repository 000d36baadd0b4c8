"""What a validation leaves behind: files that programs read, a page that a browser shows."""

from __future__ import annotations

import csv
import io
import json
import re
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas
import pytest
import validate_cases
from sklearn import metrics
from typer.testing import CliRunner

from xrv_node import settings
from xrv_node.cli import app, console
from xrv_node.errors import DatasetError
from xrv_node.lab.statistics import thresholds
from xrv_node.lab.statistics.intervals import Estimate
from xrv_node.lab.validate import csv_tables, metrics_json, output_files
from xrv_node.lab.validate.store_with_labels import Localisation
from xrv_node.product import VERSION

OPTIONS = (
    *("--view", "*", "--all-images", "--workers", "0", "--device", "cpu"),
    *("--threshold", "0.4", "--write-thresholds", "youden"),
)


def validated(folder: Path, out: Path, *more: str) -> str:
    ran = CliRunner().invoke(
        app, ["validate", "nih", "--images", str(folder), "--out", str(out), *OPTIONS, *more]
    )
    assert ran.exit_code == 0, ran.output + str(ran.exception)
    return ran.stdout


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
    assert (told["about"]["rows"], told["about"]["used"], told["about"]["commissioning"]) == (12, 11, False)
    assert len(told["about"]["networks"][0].rpartition(" ")[2]) == 64
    scored = [row for row in rows if not row["left out"]]
    assert (len(rows), len(scored)) == (12, 11)
    truth = [int(row["image"][-16:-8]) % 3 == 0 for row in scored]
    assert [row["label Effusion"] for row in scored] == ["1" if there else "0" for there in truth]
    scores = np.array([float(row["score Effusion"]) for row in scored])
    (effusion,) = [f for f in told["evaluation"]["findings"] if f["finding"] == "Effusion"]
    assert effusion["auc"]["value"] == pytest.approx(metrics.roc_auc_score(truth, scores), abs=1e-6)
    assert effusion["at_chosen"]["threshold"] == 0.4
    with (made / "findings.csv").open(newline="") as file:
        lines = {row["finding"]: row for row in csv.DictReader(file)}
    assert float(lines["Effusion"]["auc"]) == effusion["auc"]["value"]
    assert lines["Hernia"]["why_not"] == "every one of the 11 images is without the finding"
    assert {line["verdict"] for line in lines.values()} == set(told["verdicts"].values()) == {"few"}


def test_the_page_stands_alone_and_says_what_it_is_of(made: Path):
    page = validate_cases.Page((made / "report.html").read_text())
    text = " ".join(page.texts)
    assert not page.loaded
    assert not {"script", "link", "iframe"} & set(page.tags)
    assert page.alts
    assert all(page.alts)
    assert page.texts.index("In short") < page.texts.index("Findings") < page.texts.index("ROC curves")
    for words in (
        "Research software, not a medical device.",
        "11 of 12 scored",
        "1: The file cannot be read (No such file or directory).",
        "densenet121-res224-all",
        f"xrv-node {VERSION}, {json.loads((made / 'metrics.json').read_text())['about']['date']}",
        "all images of each patient",
        "None can be compared",
        "Too few images to say",
        "no gate is fitted for these networks",
        "Share of the calls that are right",
    ):
        assert words in text, words


def refused(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def test_programs_can_read_what_is_written(made: Path):
    told = json.loads((made / "metrics.json").read_text(), parse_constant=refused)
    assert (told["format"], told["version"]) == ("xrv-node validation", 1)
    columns = {"findings": csv_tables.FINDING_COLUMNS, "overall": csv_tables.OVERALL_COLUMNS}
    columns["subgroups"] = csv_tables.SUBGROUP_COLUMNS  # there are none, and their names are there
    for name, expected in columns.items():
        assert tuple(pandas.read_csv(made / f"{name}.csv").columns) == expected
    overall = pandas.read_csv(made / "overall.csv", index_col="figure")
    assert overall.value["images"] == 11
    assert overall.value["macro_auc"] == told["evaluation"]["overall"]["macro_auc"]["value"]


def test_groups_and_rates_have_their_ends():
    evaluation = validate_cases.large().evaluation
    rows = list(
        csv.DictReader(
            io.StringIO(
                csv_tables.as_csv(csv_tables.subgroup_rows(evaluation), csv_tables.SUBGROUP_COLUMNS).decode()
            )
        )
    )
    assert {row["by"] for row in rows} == {"sex", "age", "view"}
    assert all(float(row["auc_low"]) < float(row["auc"]) < float(row["auc_high"]) for row in rows)
    assert all(float(row["auc_gap_low"]) < float(row["auc_gap_high"]) for row in rows)
    found = list(csv_tables.finding_rows(validate_cases.large()))
    assert [row["sensitivity_low"] for row in found] == [
        f.at_operating_point.sensitivity.low for f in evaluation.findings
    ]
    assert {row["auc_published"] for row in found} >= {0.88, 0.76}


def test_a_long_run_says_where_it_is_without_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(console, "MINUTE", 1e-6)
    with console.progress_bar("scoring") as told:
        told(4, 10)
        told(7, 10)
    assert re.fullmatch(r"scoring: 7 of 10, about \d+ minutes left\n", capsys.readouterr().err)


def test_what_is_no_number_is_null():
    validation = validate_cases.large()
    odd = replace(validation.evaluation, unusual=Estimate(float("nan"), float("-inf"), 1.0))
    marked = Localisation("Mass", 3, Estimate(0.5), 0.1, float("nan"), float("inf"))
    told = json.loads(
        metrics_json.text(replace(validation, evaluation=odd, localisation=(marked,))), parse_constant=refused
    )
    assert (told["localisation"][0]["iou"], told["localisation"][0]["energy"]) == (None, None)
    assert told["evaluation"]["unusual"] == {"value": None, "low": None, "high": None}


def test_others_than_who_ran_it_can_read_it(made: Path):
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in made.glob("*.csv")} == dict.fromkeys(
        ("findings.csv", "overall.csv", "subgroups.csv", "scores.csv"), "0o644"
    )


def test_thresholds_are_a_table_of_the_nodes_configuration(tmp_path: Path):
    validation = validate_cases.large()
    few = replace(validation.evaluation.findings[0], positives=9)
    evaluation = replace(validation.evaluation, findings=(few, *validation.evaluation.findings[1:]))
    path = output_files.write_thresholds(
        replace(validation, evaluation=evaluation), "all", "youden", tmp_path
    )
    written = tomllib.loads(path.read_text())["models"]["thresholds"]
    youden = {
        f.finding: s.threshold for f in evaluation.findings[1:] for s in f.suggestions if s.rule == "youden"
    }
    assert written == pytest.approx(youden, rel=1e-5)
    assert settings.load(path).models.thresholds == written
    assert "keep the published points: Atelectasis\n" in path.read_text()


def test_thresholds_of_few_images_say_so(made: Path):
    text = (made / "thresholds.toml").read_text()
    assert "Too few images, they keep the published points: Atelectasis, " in text
    assert settings.load(made / "thresholds.toml").models.thresholds == {}


def test_a_threshold_that_is_written_is_one_that_the_node_takes(tmp_path: Path):
    near = [float(np.nextafter(np.float32(0.3), np.float32(end))) for end in (0, 1)]
    given = dict(zip("abcdef", (0.0, 1.0, 1 - 1e-12, 1e-300, *near), strict=True))
    (tmp_path / "node.toml").write_text(thresholds.as_toml(given, "all", "youden"))
    loaded = settings.load(tmp_path / "node.toml").models.thresholds
    inside = np.array([loaded[label] for label in given], np.float32)
    assert ((inside > 0) & (inside < 1)).all()
    assert inside[4:].tolist() == near  # to the last bit: no image changes sides


def test_a_second_run_scores_nothing_anew_and_says_the_same(made: Path, folder: Path, monkeypatch):
    from xrv_node.lab.validate import score_dataset

    before = json.loads((made / "metrics.json").read_text())
    monkeypatch.setattr(score_dataset.direct, "forward", None)  # a call would fail
    told = json.loads(validated(folder, made, "--json"))
    assert told["evaluation"] == before["evaluation"]


def test_an_unknown_rule_is_refused_before_anything_is_scored(dataset: Path, tmp_path: Path):
    ran = CliRunner().invoke(
        app,
        [
            *("validate", "nih", "--images", str(dataset), "--out", str(tmp_path / "out")),
            "--write-thresholds",
            "best",
        ],
    )
    assert str(ran.exception).startswith("no rule is called 'best': use one of youden, sensitivity_95")
    assert not (tmp_path / "out").exists()


def test_with_commissioning_no_image_of_a_dataset_is_scored(dataset: Path, tmp_path: Path) -> None:
    """The networks for phantoms answer for phantoms alone."""
    ran = CliRunner().invoke(
        app,
        ["validate", "nih", "--images", str(dataset), "--out", str(tmp_path), *OPTIONS, "--commissioning"],
    )
    assert isinstance(ran.exception, DatasetError)
    assert "could be scored: not a phantom: no findings." in str(ran.exception)
