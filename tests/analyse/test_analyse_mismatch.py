"""A picture beside what its header says of the patient: what is held against what, where it is said, and that no
value of it is written anywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import report_cases as cases
import shapes
import small_networks
import torch
import untrained
from made import SECRET, incoming, phantom, radiograph
from torch import Tensor, nn
from typer.testing import CliRunner

from xrv_node import languages, settings, starting
from xrv_node.alerts import rules
from xrv_node.analyse import checks, gate
from xrv_node.analyse.analyser import Analyser
from xrv_node.analyse.analysis_file import load
from xrv_node.analyse.checks import Check, Checks
from xrv_node.analyse.mismatch import ATTRIBUTES, age_off, doubted, sex_off, view_off
from xrv_node.cli.models import app
from xrv_node.db import queries, queue
from xrv_node.db.store import Store
from xrv_node.doctor import networks as diagnosis
from xrv_node.doctor.diagnosis import Examined
from xrv_node.errors import ConfigError, WeightsError
from xrv_node.jobs import analyse as job
from xrv_node.models import NodeNetworks, catalog
from xrv_node.models.model import MODELS
from xrv_node.receive import intake
from xrv_node.report import summary
from xrv_node.settings import FrontalSection
from xrv_node.settings.alerts import WebhookAlert
from xrv_node.spool import Spool
from xrv_node.values import Analysis, AnalysisInput

MALE, FEMALE = {"male": 3.0, "female": -1.0}, {"male": -2.0, "female": 2.5}


class Telling(nn.Module):
    """Says the same of every image, moved by a seeded look at it that is too small to matter."""

    def __init__(self, *says: float) -> None:
        super().__init__()
        seeded = torch.randn(len(says), generator=torch.Generator().manual_seed(5))
        self.gains = nn.Parameter(seeded * 1e-6, requires_grad=False)
        self.says = torch.tensor(says)

    def forward(self, x: Tensor) -> Tensor:
        return self.says + x.mean(dim=(1, 2, 3))[:, None] * self.gains


SAYS = {"mira": (5.0, -3.0), "riken": (25.0,), "xinario": (6.0, -6.0)}
"""A man of 25 years, from the front."""


def asked(name: str, network: str, *says: float) -> Check:
    entry = catalog.find(network)
    return Check(ATTRIBUTES[name], MODELS["attribute"](entry, Telling(*says or SAYS[network])), "cpu")


def all_three(sex: float = 4, age: float = 20, view: float = 2) -> Checks:
    asks = (("sex", "mira", sex), ("age", "riken", age), ("view", "xinario", view))
    return Checks(tuple((asked(name, network), limit) for name, network, limit in asks))


@pytest.fixture(scope="module")
def networks() -> NodeNetworks:
    with untrained.installed(small_networks.get_model):
        return untrained.load_set("all", "chestx_det", "101-elastic")


# ---------------------------------------------------------------- what a header says


@pytest.mark.parametrize(
    ("said", "sex", "off"),
    [
        (MALE, "M", -4.0),
        (MALE, "F", 4.0),
        (FEMALE, "M", 4.5),
        (FEMALE, "F", -4.5),
        (MALE, " f ", 4.0),
        (MALE, "O", None),
        (MALE, "", None),
        (MALE, "MALE?", None),
        (MALE, None, None),
    ],
)
def test_only_m_and_f_say_a_sex(said: dict[str, float], sex: str | None, off: float | None) -> None:
    assert sex_off(said, cases.header(PatientSex=sex)) == off


@pytest.mark.parametrize(
    ("header", "off"),
    [
        ({"PatientAge": "070Y"}, 30),
        ({"PatientAge": "040Y"}, 0),
        ({"PatientAge": None, "PatientBirthDate": "19361120", "StudyDate": "20261120"}, 50),
        ({"PatientAge": "000Y", "PatientBirthDate": "19361120", "StudyDate": "20261120"}, 50),
        ({"PatientAge": None, "PatientBirthDate": None}, None),
        ({"PatientAge": "000Y", "PatientBirthDate": None}, None),
        ({"PatientAge": None, "PatientBirthDate": "18000101"}, None),
        ({"PatientAge": "070D"}, None),
        ({"PatientAge": "040W"}, None),
        ({"PatientAge": "200M"}, None),
        ({"PatientAge": "240M"}, 20),
        ({"PatientAge": "017Y"}, None),
    ],
)
def test_an_age_is_an_adult_s_in_years(header: dict[str, Any], off: float | None) -> None:
    found = age_off({"age": 40.0}, cases.header(**header))
    assert found == (None if off is None else pytest.approx(off, abs=0.01))


@pytest.mark.parametrize(
    ("header", "off"),
    [
        ({"ViewPosition": "PA"}, 3.0),
        ({"ViewPosition": "AP"}, 3.0),
        ({"ViewPosition": "LL", "PatientOrientation": ["A", "F"]}, None),
        ({"ViewPosition": "", "PatientOrientation": None}, None),
    ],
)
def test_a_view_counts_where_the_header_says_frontal(header: dict[str, Any], off: float | None) -> None:
    assert view_off({"frontal": -1.0, "lateral": 2.0}, radiograph(**header)) == off


# ---------------------------------------------------------------- what the networks say beside it


@pytest.mark.parametrize(
    ("header", "doubts"),
    [
        ({"PatientSex": "M", "PatientAge": "030Y"}, ()),
        ({"PatientSex": "F", "PatientAge": "030Y"}, ("sex",)),
        ({"PatientSex": "F", "PatientAge": "080Y"}, ("sex", "age")),
        ({"PatientSex": "O", "PatientAge": "046Y"}, ("age",)),
        ({"PatientSex": "M", "PatientAge": "044Y"}, ()),
        ({"PatientSex": "", "PatientAge": None, "PatientBirthDate": None}, ()),
    ],
)
def test_what_is_beyond_its_limit_is_said(header: dict[str, Any], doubts: tuple[str, ...]) -> None:
    inputs = {size: np.zeros((size, size), np.float32) for size in (224, 320)}
    looked = all_three()
    assert looked.sizes == (224, 320)
    assert doubted(looked.look(inputs, cases.header(**header))) == doubts


def test_a_lateral_picture_under_a_frontal_header_is_said() -> None:
    looked = Checks(((asked("view", "xinario", -3.0, 4.0), 2.0),))
    inputs = {224: np.zeros((224, 224), np.float32)}
    assert [reason.key for reason in looked.look(inputs, radiograph())] == ["mismatch-view"]
    assert looked.look(inputs, None) == ()


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_no_number_says_nothing(number: float) -> None:
    looked = Checks(((asked("sex", "mira", number, -number), 1.0),))
    assert looked.look({224: np.zeros((224, 224), np.float32)}, cases.header(PatientSex="F")) == ()


def test_a_network_that_tells_something_else_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(checks, "get_model", lambda *_, **__: asked("sex", "mira").model)
    with pytest.raises(ConfigError, match=r"models\.mismatch\.view: mira does not tell it"):
        checks.load("view", "mira", tmp_path, "cpu")


# ---------------------------------------------------------------- in the worker


def analysed(networks: NodeNetworks, store: Store, spool: Spool, header: dict[str, Any]) -> Analysis:
    intake.accept(store, spool, FrontalSection(), incoming(radiograph(**header)))
    analyser = Analyser(networks, checks=all_three())
    job.run(store, spool, analyser, queue.claim(store, "analyse", owner="w", limit=9))
    return load(spool.analysis("1.2.3.1", "1.2.3.1.1.1", networks.identity.digest))


def test_it_is_kept_with_the_analysis_and_told_without_a_value(
    networks: NodeNetworks, store: Store, spool: Spool, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = analysed(networks, store, spool, {"PatientSex": "F", "PatientAge": "077Y"})
    assert doubted(kept.quality) == ("sex", "age")
    with store.read() as db:
        every = list(queries.events(db))
        (event,) = [e for e in every if e["event"] == "instance.analysed"]
        on = WebhookAlert(name="a", on=("finding", "mismatch"), url="https://x/h", secret_file=Path("s"))
        notes = [note for note in rules.told(on, event, db) if note.what == "mismatch"]
    assert [q for q in event["detail"]["quality"] if q["key"].startswith("mismatch")] == [
        {"key": "mismatch-sex", "values": {}},
        {"key": "mismatch-age", "values": {}},
    ]
    says = "a picture does not look like what its header says (sex, age): is it the right patient's?"
    assert [str(note.reason) for note in notes] == [says]
    written = json.dumps([event["detail"] for event in every], default=str) + "".join(capsys.readouterr())
    for value in (SECRET, "077Y", "19600101", "77 years", "25.0", '"F"', "male"):
        assert value not in written, value


def test_what_agrees_says_nothing(networks: NodeNetworks, store: Store, spool: Spool) -> None:
    assert doubted(analysed(networks, store, spool, {"PatientSex": "M", "PatientAge": "033Y"}).quality) == ()


def test_nothing_is_said_of_a_phantom_nor_of_an_image_whose_findings_are_withheld(
    networks: NodeNetworks, tmp_path: Path
) -> None:
    patient, nobody = tmp_path / "patient.dcm", tmp_path / "phantom.dcm"
    radiograph(PatientSex="F").save_as(patient, enforce_file_format=True)
    phantom(PatientSex="F").save_as(nobody, enforce_file_format=True)
    looked = Analyser(networks, checks=all_three())
    (answered,) = looked.analyse([AnalysisInput("1", nobody)], phantoms=True)
    assert isinstance(answered, Analysis)
    assert doubted(answered.quality) == ()
    limits = gate.Limits(networks.identity.weights_digest, "none", 0.99, 100, error=0.0, ssim=1.0)
    strict = Analyser(networks, limits=limits, checks=all_three())
    (refused,) = strict.analyse([AnalysisInput("1", patient)])
    assert isinstance(refused, Analysis)
    assert refused.refused is not None
    assert doubted(refused.quality) == ()


# ---------------------------------------------------------------- in the report


@pytest.mark.parametrize("language", languages.names())
def test_the_report_asks_whether_it_is_the_right_patient_s(language: str) -> None:
    from dataclasses import replace

    image = cases.frontal(cases.header())
    assert image.analysis is not None
    doubts = tuple(attribute.reason for attribute in ATTRIBUTES.values())
    doubtful = replace(image, analysis=replace(image.analysis, quality=doubts))
    asks = languages.table(language)["text"]["mismatch"]
    assert asks not in summary.headline(cases.outcome(image), language)
    assert asks in summary.headline(cases.outcome(doubtful), language)
    said = summary.quality(doubtful, language)
    assert [words for words in said if words.endswith("?")] == [reason.words(language) for reason in doubts]


# ---------------------------------------------------------------- the configuration


def configured(tmp_path: Path, text: str) -> settings.Settings:
    path = tmp_path / "node.toml"
    path.write_text(f"[models]\ndir = '{tmp_path / 'models'}'\n[models.mismatch]\n{text}", encoding="utf-8")
    return settings.load(path)


def test_the_age_network_is_a_program_that_has_to_be_trusted(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"models\.mismatch: age asks riken, a TorchScript program.*run_code"
    ):
        configured(tmp_path, "age = 30")
    assert configured(tmp_path, "age = 30\nrun_code = true").models.limits == {"age": 30}
    assert configured(tmp_path, "").models.limits == {}


def test_a_worker_loads_the_networks_of_the_limits_that_are_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[tuple[str, bool]] = []

    def get_model(network: str, *_: Any, run_code: bool) -> Any:
        loaded.append((network, run_code))
        return asked("sex", network).model

    monkeypatch.setattr(checks, "get_model", get_model)
    assert checks.configured(configured(tmp_path, "").models, tmp_path, "cpu").limited == ()
    chosen = configured(tmp_path, "sex = 5\nage = 30\nrun_code = true").models
    made = checks.configured(chosen, tmp_path, "cpu")
    assert [limit for _, limit in made.limited] == [5, 30]
    assert loaded == [("mira", True), ("riken", True)]


@pytest.mark.parametrize("wrong", ["sex = -1", "age = nan", "view = 'high'", "eyes = 3"])
def test_a_wrong_limit_is_named(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(ConfigError, match=rf"models\.mismatch\.{wrong.partition(' ')[0]}: "):
        configured(tmp_path, wrong)


def test_a_start_without_the_weights_says_which_command_gets_them(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xrv_node.models.missing", untrained.missing)
    starting.check_weights(configured(tmp_path, ""))
    chosen = configured(tmp_path, "sex = 5\nage = 30\nrun_code = true\nview = 4")
    with pytest.raises(WeightsError) as error:
        starting.check_weights(chosen)
    for name in ("mira", "riken", "xinario"):
        assert f"  xrv-node models pull {name}" in str(error.value)
    found = [says for _, says, _ in diagnosis.models(Examined(chosen, store, fix=False))]
    assert any("mira, riken, xinario" in says for says in found)


# ---------------------------------------------------------------- the limits


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Eleven men of 20 to 40 years, one image with a woman's header, and a picture."""
    folder = tmp_path / "site"
    folder.mkdir()
    for number in range(12):
        made = shapes.dicom("PA", rows=200, seed=number)
        made.PatientSex, made.PatientAge = ("F" if number == 7 else "M"), f"{20 + 2 * number:03d}Y"
        made.save_as(folder / f"{number:02d}.dcm")
    (folder / "notes.png").write_text("not an image")
    return folder


def fitted(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> Any:
    monkeypatch.setattr("xrv_node.models.missing", lambda *_: ["xinario"])
    monkeypatch.setattr(checks, "get_model", lambda network, *_, **__: asked("sex", network).model)
    return CliRunner().invoke(app, ["fit-mismatch", *map(str, arguments)])


def test_limits_are_fitted_on_a_site_s_own_images(
    monkeypatch: pytest.MonkeyPatch, site: Path, tmp_path: Path
) -> None:
    said = fitted(monkeypatch, site, "--quantile", "0.9", "--dir", tmp_path, "--run-code", "--json")
    assert said.exit_code == 0, said.output
    assert "models pull xinario" in said.stderr
    found = json.loads(said.stdout)
    sex, age = found["limits"]["sex"], found["limits"]["age"]
    assert (sex["images"], sex["median"]) == (12, pytest.approx(-8, abs=0.01))
    assert (sex["limit"], sex["beyond"]) == (pytest.approx(8, abs=0.02), [])
    assert (age["images"], age["limit"]) == (12, pytest.approx(17, abs=0.02))
    assert [Path(one["path"]).name for one in found["left_out"]] == ["notes.png"]


def test_a_limit_names_the_images_beyond_it(
    monkeypatch: pytest.MonkeyPatch, site: Path, tmp_path: Path
) -> None:
    said = fitted(monkeypatch, site, "--quantile", "0.8", "--dir", tmp_path)
    assert said.exit_code == 0, said.output
    assert "age is left out: its network is a program" in said.stderr
    assert f"is it the right patient's? {site / '07.dcm'}" in said.stdout
    assert "[models.mismatch]\nsex = 0.01\n" in said.stdout


def test_too_few_images_are_said(monkeypatch: pytest.MonkeyPatch, site: Path, tmp_path: Path) -> None:
    said = fitted(monkeypatch, site, "--dir", tmp_path)
    assert isinstance(said.exception, ConfigError)
    assert "12 images are too few for the quantile 0.99" in str(said.exception)
