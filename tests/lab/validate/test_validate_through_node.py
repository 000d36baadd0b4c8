"""What comes back over the wire is what the direct way says."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from validate_node import Answer, node, results, told_by_a_running_node

from xrv_node.errors import ConfigError, DestinationError
from xrv_node.lab.datasets.load import load
from xrv_node.lab.datasets.table import LabelTable
from xrv_node.lab.statistics.labelled_scores import LabelledScores
from xrv_node.lab.validate import store_with_labels, through_node
from xrv_node.lab.validate.result_receiver import listen
from xrv_node.lab.validate.run_store import ReturnedSegmentation, RunStore

LABELS = ("Effusion", "Mass")


def scores_of(image: Dataset) -> dict[str, float]:
    """Other ones for every patient, with more digits than people read."""
    return {"Effusion": int(image.PatientID[4:]) / 7, "Mass": 1 / 3, "Hernia": 0.9}


def table(dataset: Path) -> LabelTable:
    return load("nih", dataset, views=("*",), unique_patients=False)


def sent(
    dataset: Path, out: Path, answer: Answer, *, wait: float = 60, count: int = 12
) -> tuple[RunStore, list[Dataset], list[tuple[int, int]]]:
    """Send a dataset's first images through a node."""
    store, told = RunStore(out / "through-node.sqlite", {"dataset": "nih"}), list[tuple[int, int]]()
    with listen(through_node.CALLING_AE, "127.0.0.1", 0) as back, node(back.port, answer) as (peer, received):
        through_node.run(
            table(dataset), np.arange(count), LABELS, store, through_node.Way(peer, wait), back,
            lambda *done: told.append(done),
        )  # fmt: skip
    return store, received, told


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(through_node, "GRACE", 0.2)


def test_scores_come_back_exactly_with_the_images_that_have_masks(dataset: Path, tmp_path: Path):
    store, received, told = sent(dataset, tmp_path, lambda image: results(image, scores_of(image)))
    back = store_with_labels.labelled_scores(table(dataset), LABELS, store, np.arange(12))
    expected = np.array([[number // 2 / 7, 1 / 3] for number in range(12)], np.float32)
    assert np.array_equal(back.scores, expected)
    assert back.sigmoids is None  # a report holds scores
    assert list(store.returned()) == [ReturnedSegmentation(row) for row in range(12)]
    assert (told[0], told[-1]) == ((0, 12), (12, 12))
    assert len({image.StudyInstanceUID for image in received}) == 12
    assert {image.ViewPosition for image in received} == {"PA", "AP"}
    store.close()


def test_what_came_back_before_is_not_sent_again(dataset: Path, tmp_path: Path):
    def answer(image: Dataset) -> list[Dataset]:
        return results(image, scores_of(image))

    first, received, _ = sent(dataset, tmp_path, answer, count=5)
    first.close()
    second, more, told = sent(dataset, tmp_path, answer, count=8)
    second.close()
    assert (len(received), len(more), told[0]) == (5, 3, (5, 8))
    # a run of its own has images of its own: a node leaves alone what it has had
    third, other, _ = sent(dataset, tmp_path / "other", answer, count=1)
    third.close()
    assert other[0].SOPInstanceUID not in {image.SOPInstanceUID for image in received}


def test_images_without_an_answer_are_given_up_with_the_reason(dataset: Path, tmp_path: Path):
    def answer(image: Dataset) -> list[Dataset]:
        number = int(image.PatientID[4:])
        if number == 1:
            return []
        return results(image, {"Effusion": 0.2} if number == 2 else scores_of(image))

    store, _, told = sent(dataset, tmp_path, answer, wait=1, count=6)
    assert store_with_labels.left_out(store, np.arange(6)) == {
        "The node sent no report of the image within 1 s.": 2,
        through_node.NO_SCORES: 2,
    }
    assert store.done(answered=True).tolist() == [0, 1]
    assert told[-1] == (6, 6)
    store.close()


def test_a_report_of_another_make_is_an_error_that_says_so(dataset: Path, tmp_path: Path):
    def answer(image: Dataset) -> list[Dataset]:
        made = results(image, scores_of(image))
        del made[0].ContentSequence
        return made

    with pytest.raises(DestinationError, match=r"a report that cannot be read \(AttributeError\)"):
        sent(dataset, tmp_path, answer, count=1)


def test_a_port_that_is_taken_is_said():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(ConfigError, match=f"nothing can listen on 127.0.0.1:{port}"),
            listen("XRVVALIDATE", "127.0.0.1", port),
        ):
            pass


def scored(scores: list[float]) -> LabelledScores:
    n = len(scores)
    return LabelledScores(
        ("Effusion",), np.array(scores, np.float32)[:, None], (np.arange(n) % 2)[:, None].astype(np.float32),
        np.arange(n).astype(str), np.full(n, ""), np.full(n, np.nan), np.full(n, "PA"),
    )  # fmt: skip


def test_the_difference_says_whether_it_is_more_than_rounding():
    direct = scored([0.1, 0.6, 0.3, 0.9])
    same = through_node.difference(
        direct, scored([0.1 + 1e-6, 0.6, 0.3, 0.9]), node="n", sent=4, segmented=4, left_out={}
    )
    assert same.greatest == pytest.approx(1e-6, rel=0.1)
    assert (same.greatest_auc, same.other_calls) == (0.0, 0)
    assert "none differs by more than 0.0001" in same.words
    other = through_node.difference(
        direct, scored([0.1, 0.2, 0.3, 0.9]), node="n", sent=4, segmented=4, left_out={}
    )
    assert other.greatest == pytest.approx(0.4)
    assert other.greatest_auc == pytest.approx(0.25)
    assert other.other_calls == 1
    assert "are not those of the direct path" in other.words
    nothing = through_node.difference(
        scored([]), scored([]), node="n", sent=4, segmented=0, left_out={"no answer": 4}
    )
    assert (nothing.greatest, nothing.words) == (None, "Nothing came back from the node.")


@pytest.mark.slow
def test_real_radiographs_through_a_running_node(radiographs: Path, tmp_path: Path):
    through = told_by_a_running_node(
        tmp_path, "nih", "--images", str(radiographs), "--view", "*", "--all-images", "--limit", "3"
    )
    told = through["difference"]
    assert (told["sent"], told["answered"], told["segmented"], told["left_out"]) == (3, 3, 3, {})
    assert told["greatest"] < 1e-5
    assert told["other_calls"] == 0
