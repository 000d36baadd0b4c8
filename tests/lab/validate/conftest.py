"""What the tests of a run share: a small dataset, untrained networks, real radiographs with labels."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
import untrained
import validate_cases

from xrv_node.lab.validate import networks
from xrv_node.models.model import Model


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Threads that wait for a busy core cost more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True, scope="session")
def built_once():
    """Drawing the weights of an untrained network takes longer than to run it."""
    made: dict[tuple[str, str], Model] = {}

    def build(name: str, *args: object, **options: object) -> Model:
        key = (name, repr(options))
        if key not in made:
            made[key] = untrained.get_model(name, *args, **options)
        return made[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "get_model", build)
        yield


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Twelve pictures of six patients in the layout of NIH ChestX-ray14."""
    return validate_cases.nih(tmp_path / "nih")


@pytest.fixture
def radiographs(data: Path, tmp_path: Path) -> Path:
    """The real radiographs of NIH that lie beside the project, in the owner's layout."""
    if not (data / "nih" / "labels.csv").is_file():
        pytest.skip("the radiographs with labels are not here")
    folder = tmp_path / "real"
    (folder / "images").mkdir(parents=True)
    rows = []
    with (data / "nih" / "labels.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            # a folder that is a link is not looked into
            (folder / "images" / row["image"]).symlink_to(data / "nih" / "images" / row["image"])
            labels = row["finding_labels"]
            rows.append((row["image"], labels, 0, row["patient_id"], row["age"], row["sex"], row["view"]))
    validate_cases.write(folder / "Data_Entry_2017_v2020.csv", rows)
    return folder
