"""Where the network tells nothing from chance no threshold is written, and every output says so."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
from typer.testing import CliRunner
from validate_cases import large

from xrv_node import settings
from xrv_node.cli import app
from xrv_node.lab.datasets.catalog import entries, without_patients
from xrv_node.lab.statistics.evaluate import evaluate
from xrv_node.lab.statistics.labelled_scores import LabelledScores
from xrv_node.lab.statistics.thresholds import RULES
from xrv_node.lab.validate import csv_tables, output_files, page
from xrv_node.lab.validate.about import NO_PATIENTS
from xrv_node.lab.validate.validation import Validation

NAMES = ("Effusion", "Mass", "Hernia", "Edema", "Nodule")


def mixed(*, calls: bool = True) -> Validation:
    """Better than chance, drawn, the wrong way round, too few, and one in a hundred told."""
    generator = np.random.default_rng(0)
    n = 300
    labels = (generator.random((n, 5)) < 0.4).astype(np.float32)
    labels[:, 3] = np.arange(n) < 4
    labels[:, 4] = np.arange(n) % 2
    noise = generator.random((n, 5))
    outputs = noise.copy()
    outputs[:, 0] = 0.3 * noise[:, 0] + 0.5 * labels[:, 0]
    outputs[:, 2] = 0.3 * noise[:, 2] + 0.5 * (1 - labels[:, 2])
    outputs[:, 3] = 0.3 * noise[:, 3] + 0.5 * labels[:, 3]
    outputs[:, 4] = np.where((labels[:, 4] > 0) & (np.arange(n) < 60), 0.9, 0.2)
    found = outputs.astype(np.float32)
    scored = LabelledScores(
        pathologies=NAMES,
        scores=found,
        labels=labels,
        patientid=np.arange(n).astype(str),
        sex=np.where(np.arange(n) % 2, "F", "M"),
        age_years=np.full(n, 50.0),
        view=np.full(n, "PA"),
        sigmoids=found,
        calls=calls,
    )
    return replace(large(), evaluation=evaluate(scored, rounds=20), published=None)


def test_the_file_names_who_got_no_threshold_and_why(tmp_path: Path):
    text = output_files.write_thresholds(mixed(), "all", "sensitivity_95", tmp_path).read_text()
    assert tomllib.loads(text)["models"]["thresholds"].keys() == {"Effusion"}
    assert "# Not told from chance, they keep the published points: Mass\n" in text
    assert "# Worse than chance, they keep the published points: Hernia\n" in text
    assert "# Too few images, they keep the published points: Edema\n" in text
    assert "# The rule would call every image, or none, they keep the published points: Nodule\n" in text
    assert settings.load(tmp_path / "thresholds.toml").models.thresholds.keys() == {"Effusion"}
    text = output_files.write_thresholds(mixed(), "own", "youden", tmp_path, published=False).read_text()
    assert "# own has no points to replace: give it these with `models import --thresholds`\n" in text
    assert "# Not told from chance: Mass\n" in text


def test_no_rule_gives_a_point_that_calls_every_image():
    validation = mixed()
    for rule in RULES:
        assert output_files.suggested(validation.evaluation, rule).keys() <= {"Effusion", "Nodule"}
    for finding in validation.evaluation.findings:
        assert all(one.sensitivity + one.specificity > 1 for one in finding.suggestions)


def test_the_page_says_it_in_place_of_the_thresholds():
    text = page.html(mixed())
    assert 'none: <span class="look">Not told from chance</span>' in text
    assert 'none: <span class="look">Worse than chance</span>' in text
    rows = {row["finding"]: row for row in csv_tables.finding_rows(mixed())}
    assert {name: row["verdict"] for name, row in rows.items()} == {
        "Effusion": "better", "Mass": "chance", "Hernia": "worse", "Edema": "few", "Nodule": "better",
    }  # fmt: skip
    assert "threshold_youden" not in rows["Mass"]


def test_the_terminal_says_it(dataset: Path, tmp_path: Path):
    done = CliRunner().invoke(
        app,
        [
            *("validate", "nih", "--images", str(dataset), "--out", str(tmp_path / "out")),
            *("--view", "*", "--all-images", "--workers", "0", "--device", "cpu"),
            *("--write-thresholds", "specificity_90"),
        ],
    )
    assert done.exit_code == 0, done.output + str(done.exception)
    assert "no threshold: Too few images: Atelectasis, " in done.output


def test_of_a_network_that_calls_nothing_no_figure_is_of_calls():
    validation = mixed(calls=False)
    found = validation.evaluation
    assert {f.at_operating_point for f in found.findings} == {None}
    assert found.findings[0].auc.value > 0.9
    assert found.overall.macro_f1.value is found.overall.micro_f1.value is None
    assert not any(map(any, found.cooccurrence.called))
    for split in found.subgroups:
        assert split.auc_gap.value is not None
        assert split.sensitivity_gap.value is split.specificity_gap.value is None
        assert all(group.sensitivity.value is None for group in split.groups)
    assert page.html(validation)


def test_patients_that_nobody_published_are_not_counted(tmp_path: Path):
    whole = large()
    about = replace(whole.about, patients=NO_PATIENTS)
    validation = replace(whole, about=about, evaluation=replace(whole.evaluation, patients=None))
    text = page.html(validation)
    assert "of patients that are not published" in text
    assert "where several are of one patient all intervals are too narrow" in text
    assert "None patients" not in text
    (row,) = (one for one in csv_tables.overall_rows(validation.evaluation) if one["figure"] == "patients")
    assert row["value"] is None


def test_datasets_without_patients_are_named_by_their_titles():
    names = [entry.name for entry in entries()]
    titles = without_patients(names)
    assert titles == tuple(entry.title for entry in entries() if not entry.patients_published)
    assert without_patients(["nih"]) == ()
    assert len(without_patients(["nih", "siim-acr", "rsna"])) == 2


def test_the_run_over_such_a_dataset_says_so(tmp_path: Path):
    import cv2

    folder = tmp_path / "siim"
    folder.mkdir()
    lines = ["ImageId,EncodedPixels"]
    for number in range(8):
        name = f"1.2.3.{number}"
        grey = np.random.default_rng(number).integers(20, 220, (64, 64), dtype=np.uint8)
        cv2.imwrite(str(folder / f"{name}.png"), grey)
        lines.append(f"{name},{'10 5' if number % 2 else '-1'}")
    (folder / "train-rle.csv").write_text("\n".join(lines) + "\n")
    done = CliRunner().invoke(
        app,
        [
            *("validate", "siim-acr", "--images", str(folder), "--out", str(tmp_path / "out")),
            *("--workers", "0", "--device", "cpu"),
        ],
    )
    assert done.exit_code == 0, done.output + str(done.exception)
    assert "patients are not published: each image counts as a patient of its own" in done.output
    told = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert told["evaluation"]["patients"] is None
    assert told["about"]["patients"].startswith("not published")
    assert "patient" not in told["about"]["choice"]
