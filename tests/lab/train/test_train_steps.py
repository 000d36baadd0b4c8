"""Small networks from nothing: they learn, and a run that was cut off ends as one that was not."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import drawn_shapes
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from xrv_node import models
from xrv_node.cli import app
from xrv_node.errors import ConfigError, WeightsError
from xrv_node.lab.train.steps import drawing, figures, losses, memory, origins, plan, run, tasks
from xrv_node.models import importing, trained_here


class Cut(Exception):
    """Ends a training from outside."""


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "classifier"
    run.train(drawn_shapes.plan("classifier"), drawn_shapes.origins(), out)
    return out


def history(out: Path) -> list[dict[str, float]]:
    rows: list[dict[str, float]] = json.loads((out / "history.json").read_bytes())
    return rows


def test_a_classifier_learns(classifier: Path) -> None:
    rows = history(classifier)
    assert rows[-1]["loss"] < 0.5 * rows[0]["loss"]
    assert rows[-1]["mean AUC"] > 0.95
    told = json.loads((classifier / "figures.json").read_bytes())
    measured = told["measured"]["others"]
    assert set(measured) == {"Effusion", "Mass", "Lung Lesion", "Lung Opacity"}  # the last two follow
    for name in ("Effusion", "Mass"):
        assert measured[name]["AUC"] > 0.95
        assert measured[name]["sens. at 5 %"] > 0.8
        assert measured[name]["points"] > 0.5
        assert measured[name]["sensitivity"] + measured[name]["specificity"] > 1.7
    text = (classifier / "phantom-classifier.md").read_text()
    assert "PHANTOM MODEL SET - NOT FOR PATIENT IMAGES" in text
    assert "| Mass |" in text


def test_what_comes_out_is_a_network_for_phantoms_alone(classifier: Path, tmp_path: Path) -> None:
    file = classifier / "phantom-classifier.safetensors"
    known = trained_here.described(file)
    assert known is not None
    assert known.phantom
    points = dict(zip(known.labels, known.thresholds, strict=True))
    assert len(points) == 18
    assert points["Mass"] is not None
    assert points["Pneumonia"] is None  # nothing is known of it
    with pytest.raises(WeightsError, match="answers for them alone"):
        importing.import_trained(file, known, tmp_path)


@pytest.mark.parametrize(
    ("kind", "figure"), [("segmenter", "mean Dice"), ("autoencoder", "1 - mean difference")]
)
def test_the_other_kinds_learn(kind: str, figure: str, tmp_path: Path) -> None:
    done = run.train(drawn_shapes.plan(kind), drawn_shapes.origins(), tmp_path / "run")
    rows = history(tmp_path / "run")
    assert rows[-1]["loss"] < 0.8 * rows[0]["loss"]
    assert rows[-1][figure] > 0.7
    measured = done.measured["others"]
    if kind == "segmenter":
        assert min(one["Dice"] for one in measured.values()) > 0.6
    else:
        assert measured["image"]["mean difference"] < 120


def test_a_run_that_was_cut_off_ends_with_the_same_weights(classifier: Path, tmp_path: Path) -> None:
    told = drawn_shapes.plan("classifier", checkpoint_steps=15, processes=1)

    def cut(done: int, _: int) -> None:
        if done == 20:
            raise Cut

    with pytest.raises(Cut):
        run.train(told, drawn_shapes.origins(), tmp_path / "run", on_step=cut)
    with pytest.raises(ConfigError, match="add --resume to go on with it"):
        run.train(told, drawn_shapes.origins(), tmp_path / "run")
    other = drawn_shapes.plan("classifier", seed=1, steps=41)
    with pytest.raises(ConfigError, match="begun with other seed, steps: go on"):
        run.train(other, drawn_shapes.origins(), tmp_path / "run", resume=True)
    steps: list[int] = []
    here = told.model_copy(update={"processes": 0, "leave_out": ("Mass",)})  # which change no weights
    run.train(
        here,
        drawn_shapes.origins(),
        tmp_path / "run",
        resume=True,
        on_step=lambda done, _: steps.append(done),
    )
    assert steps[0] == 16  # after the checkpoint
    file = "phantom-classifier.safetensors"
    one, other = load_file(classifier / file), load_file(tmp_path / "run" / file)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert history(classifier) == history(tmp_path / "run")


def test_a_batch_depends_on_its_step_alone() -> None:
    told = drawn_shapes.plan("autoencoder", steps=30)
    whole = list(memory.batches(told, drawn_shapes.Shapes(), 0))
    later = list(memory.batches(told, drawn_shapes.Shapes(), 17))
    assert len(whole) == 30
    assert len(later) == 13
    for one, other in zip(whole[17:], later, strict=True):
        assert all(np.array_equal(a["image"], b["image"]) for a, b in zip(one, other, strict=True))
    every = [drawn_shapes.Shapes().sample(number).image.astype(np.float16) for number in range(180)]
    for step, batch in enumerate(whole):
        numbers = [
            next(n for n, image in enumerate(every) if np.array_equal(image, b["image"])) for b in batch
        ]
        assert numbers[:6] == list(range(6 * step, 6 * step + 6))  # each image is new once
        assert all(6 * step + 6 - 60 <= number < 6 * step + 6 for number in numbers[6:])
        assert len(set(numbers)) == 12 or step == 0  # and then none twice


def test_what_is_unknown_trains_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, maps = torch.randn(4, 3, generator=generator), torch.randn(4, 3, 8, 8, generator=generator)
    beside = torch.randn(4, 3, 8, 8, generator=generator)
    labels = torch.tensor([[1.0, 0.0, torch.nan]] * 4)
    places = torch.zeros(4, 3, 8, 8)
    places[:, 0, 2:4, 2:4] = 1
    for leaf in (logits, maps):
        leaf.requires_grad_()
    value = losses.classifier((logits, maps, beside), labels, places, torch.zeros(4, 3, 8, 8), torch.ones(3))
    value.backward()
    assert logits.grad is not None
    assert maps.grad is not None
    assert (logits.grad[:, 2] == 0).all()
    assert (maps.grad[:, 2] == 0).all()
    assert (maps.grad[:, :2] != 0).any(dim=(2, 3)).all()
    assert (maps.grad[:, 0, 2:4, 2:4] < 0).all()  # where it is, the map has to rise


def test_a_present_finding_without_a_place_trains_no_map() -> None:
    maps = torch.zeros(1, 1, 4, 4, requires_grad=True)
    none = torch.zeros(1, 1, 4, 4)
    beside = torch.zeros(1, 3, 4, 4)
    value = losses.classifier(
        (torch.zeros(1, 1), maps, beside), torch.ones(1, 1), none, beside, torch.ones(1)
    )
    value.backward()
    assert maps.grad is not None
    assert (maps.grad == 0).all()


def test_a_structure_that_no_image_has_trains_nothing() -> None:
    logits = torch.zeros(2, 2, 4, 4, requires_grad=True)
    truth = torch.zeros(2, 2, 4, 4)
    truth[:, 0, :2] = 1
    losses.masks(logits, truth).backward()
    assert logits.grad is not None
    assert (logits.grad[:, 1] == 0).all()
    assert (logits.grad[:, 0] != 0).all()


def test_findings_follow_from_others() -> None:
    cells = np.zeros((2, 2, 16, 16), bool)
    cells[1, 1, 3, 4] = True
    truth = {"findings": np.array([[1, 0], [0, 1]], np.float32), "places": cells}
    labels, places = tasks.answers(drawn_shapes.Shapes(), truth)
    at = tasks.findings().index
    assert labels[:, at("Effusion")].tolist() == [1, 0]
    assert labels[:, at("Lung Lesion")].tolist() == labels[:, at("Lung Opacity")].tolist() == [0, 1]
    assert np.isnan(labels[:, at("Pneumonia")]).all()
    assert places[1, at("Lung Lesion")].sum() == 1
    assert places[0].sum() == 0


def test_the_sensitivity_is_that_at_five_in_a_hundred_false_alarms() -> None:
    scores = np.arange(200) / 200
    positive = np.zeros(200, bool)
    positive[180:] = True  # 180 negatives, of which 9 may lie above
    assert figures.sensitivity(scores, positive) == 1.0
    positive[[170, 172]] = True
    assert figures.sensitivity(scores, positive) == pytest.approx(21 / 22, abs=0.05)
    assert figures.sensitivity(scores, np.ones(200, bool)) is None


def test_an_operating_point_lies_between_the_classes_as_wide_as_each_is() -> None:
    random = np.random.default_rng(0)
    below, above = random.normal(-6, 1, 900), random.normal(2, 1, 100)
    positive = np.repeat([False, True], [900, 100])
    point = figures.between(np.concatenate([below, above]), positive)
    assert point == pytest.approx(-2, abs=0.5)  # whatever their numbers
    wider = figures.between(np.concatenate([-6 + 3 * (below + 6), above]), positive)
    assert wider > point + 0.2
    assert (
        below.max() < figures.between(np.concatenate([below - 30, above]), positive) + 30 < above.min() + 30
    )


def test_cells_are_those_that_are_covered() -> None:
    masks = np.zeros((1, 8, 8), bool)
    masks[0, 0, :4] = True  # a quarter of the first cell
    masks[0, 7, 7] = True  # a sixteenth of the last
    assert drawing.cells(masks)[0].tolist() == [[True, False], [False, False]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('kind = "classifier"\n', "add a table [phantoms]"),
        ('kind = "segmenter"\n', "labels are the structures"),
        ('kind = "segmenter"\nlabels = ["Heart"]\n[phantoms]\n', "labels are the structures"),
        ('kind = "autoencoder"\nsize = 100\n', "multiple of 32"),
        ('kind = "autoencoder"\nfresh = 40\n', "fresh is at most batch"),
        ('kind = "autoencoder"\nmemory = 3\n', "memory is at least batch"),
        ('kind = "painter"\n', "kind: "),
        ('kind = "autoencoder"\n[phantoms]\npose = 3\n', "phantoms.pose: unknown key"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused_in_a_line(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(text)
    with pytest.raises(ConfigError) as raised:
        plan.load(tmp_path / "recipe.toml")
    assert words in str(raised.value)


def test_the_recipes_of_the_phantom_set_are_installed() -> None:
    assert list(plan.packaged()) == ["phantom-autoencoder", "phantom-classifier", "phantom-segmenter"]
    for name, file in plan.packaged().items():
        told = plan.load(file)
        known = trained_here.described(models.PHANTOM_SET / f"{name}.safetensors")
        assert known is not None
        assert (known.role, known.input_size) == (told.kind, told.size)


def lungs(folder: Path, count: int) -> Path:
    """Radiographs with outlined lungs, in the layout of their owner (NLM's Montgomery set)."""
    place = folder / "MontgomerySet"
    for part in ("CXR_png", "ManualMask/leftMask", "ManualMask/rightMask", "ClinicalReadings"):
        (place / part).mkdir(parents=True)
    for number in range(count):
        drawn, name = drawn_shapes.Shapes(size=64).sample(number), f"MCUCXR_{number:04d}_{number % 2}"
        grey = ((drawn.image + 1024) / 8).astype(np.uint8)
        cv2.imwrite(str(place / "CXR_png" / f"{name}.png"), grey)
        for side, mask in (("left", drawn.masks[0]), ("right", drawn.masks[1])):
            path = place / "ManualMask" / f"{side}Mask" / f"{name}.png"
            cv2.imwrite(str(path), mask.astype(np.uint8) * 255)
        (place / "ClinicalReadings" / f"{name}.txt").write_text(
            "Patient's Sex: F\nPatient's Age: 050Y\nnormal\n"
        )
    return folder


def test_a_segmenter_learns_from_the_outlines_of_a_dataset(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        'kind = "segmenter"\nsize = 64\nlabels = ["Left Lung", "Right Lung"]\nsteps = 40\nbatch = 8\nfresh = 4\n'
        'memory = 40\nprocesses = 0\nprecision = "float32"\n[measured]\nimages = 20\nwatched = 20\nlooks = 2\n'
    )
    out, folder = tmp_path / "site-lungs", lungs(tmp_path / "nlm", 40)
    call = CliRunner().invoke
    options = ["--images", str(folder), "--recipe", str(recipe), "--device", "cpu"]
    done = call(app, ["train", "nlm-tb", *options, "--out", str(out)])
    assert done.exit_code == 0, done.output
    told = json.loads((out / "figures.json").read_bytes())["measured"]["test"]
    assert min(one["Dice"] for one in told.values()) > 0.8
    imported = call(
        app, ["models", "import", str(out / "site-lungs.safetensors"), "--dir", str(tmp_path / "m")]
    )
    assert imported.exit_code == 0, imported.output
    network = models.get_model("site-lungs", tmp_path / "m")
    assert network.targets == ("Left Lung", "Right Lung")
    again = call(app, ["train", "nlm-tb", *options, "--measure", str(out / "site-lungs.safetensors")])
    assert again.exit_code == 0, again.output
    assert f"{told['Left Lung']['Dice']:.3f}" in again.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--recipe", "phantom-segmenter", "--epochs", "3"], "--epochs is for fine-tuning"),
        (["nih", "--images", "x", "--recipe", "phantom-segmenter"], "datasets are named"),
        (["--recipe", "phantom-classifier", "--name", "mine"], "is called phantom-..."),
        (["--recipe", "phantom-classifier", "--measure", "phantom-segmenter"], "is no classifier that"),
        ([], "name a dataset to fine-tune with, or a recipe that has a kind"),
    ],
)
def test_what_does_not_go_together_is_said(arguments: list[str], words: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["train", *arguments, "--out", str(tmp_path / "run")])
    assert isinstance(done.exception, ConfigError)
    assert words in str(done.exception)


def test_a_network_of_the_set_is_measured_by_its_own_recipe_and_without_a_folder() -> None:
    asked = CliRunner().invoke(app, ["train", "--measure", "phantom-classifier", "--epochs", "3"])
    assert "--epochs is for fine-tuning, and the recipe has a kind" in str(asked.exception)
    wanted = CliRunner().invoke(app, ["train", "--recipe", "phantom-classifier"])
    assert str(wanted.exception) == "--out is needed: the folder of the run and of what comes out"


def test_a_tenth_of_the_classifier_s_recipe_learns(tmp_path: Path) -> None:
    """A tenth of its steps, at half its size and on fewer people: half a minute of one core."""
    told = plan.load(plan.packaged()["phantom-classifier"])
    few = {"size": 96, "steps": told.steps // 10, "fresh": 4, "processes": 0}
    seen = plan.Measured(images=40, poses=2, anatomies=("a",), faint=1, as_read=0, watched=40, looks=3)
    told = told.model_copy(update={**few, "phantoms": plan.Phantoms(poses=8), "measured": seen})
    run.train(told, origins.of_phantoms(told), tmp_path / "run")
    rows = history(tmp_path / "run")
    assert rows[-1]["loss"] < 0.7 * rows[0]["loss"]
    assert rows[-1]["mean AUC"] > 0.65
