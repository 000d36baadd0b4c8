"""The comparison of what came with what is true, on made results: each thing that can be amiss fails by its name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_protocol import SIZE, answers, case, failures, image, masks, sent

from xrv_node import languages
from xrv_node.acceptance.alignment import dice, displacement
from xrv_node.acceptance.compare import complete, row
from xrv_node.reasons import Reason


def judged(expected, objects, sendings=None):
    return row(expected, sent(expected) if sendings is None else sendings, list(objects))


def test_what_a_good_node_sends_passes() -> None:
    expected = case(image(1, ("Nodule",)), image(2))
    made = judged(expected, answers(expected).values())
    assert failures(made) == []
    assert made.seconds == pytest.approx(5)
    assert not made.missed
    assert len(made.decisions) == 10
    assert made.objects["seg"] == ("1.4.1", "1.4.2")


@pytest.mark.parametrize("kind", ["report", "sr", "seg 1", "sc 1"])
def test_what_is_missing_is_lost(kind: str) -> None:
    expected = case(image())
    objects = answers(expected)
    del objects[kind]
    assert not complete(expected, objects.values(), ("report", "sr", "seg", "sc"))
    made = judged(expected, objects.values())
    assert "nothing lost" in failures(made)
    assert made.seconds is None


def test_of_what_did_not_arrive_nothing_is_right() -> None:
    expected = case(image(1, ("Nodule",)))
    made = judged(expected, [])
    of_what_was_sent = {"taken", "silent"}
    assert {check.name for check in made.checks if check.good} == of_what_was_sent
    assert len(made.decisions) == 5
    assert not any(decision.right for decision in made.decisions)
    assert {overlap.dice for overlap in made.overlaps} == {0}
    trap = judged(case(image(answered=False)), [])
    assert [check.name for check in trap.checks] == ["taken", "nothing lost", "silent"]


def test_an_image_without_a_report_or_a_segmentation_of_its_own_is_not_right_for_the_other_s() -> None:
    expected = case(image(1), image(2))
    objects = answers(expected)
    objects["report"] = replace(objects["report"], findings={"1.2.1": objects["report"].findings["1.2.1"]})
    assert failures(judged(expected, objects.values())) == ["findings"]
    objects = answers(expected)
    del objects["seg 2"]
    assert failures(judged(expected, objects.values())) == ["nothing lost", "grid", "masks", "place"]


def test_an_empty_mask_is_nowhere() -> None:
    expected = case(image())
    objects = answers(expected)
    empty = {name: np.zeros_like(mask) for name, mask in masks().items()}
    objects["seg 1"] = replace(objects["seg 1"], masks=empty)
    assert failures(judged(expected, objects.values())) == ["masks", "place"]


def test_masks_that_are_shifted_fail_though_they_overlap_well() -> None:
    expected = case(image())
    made = judged(expected, answers(expected, shift=20).values())
    assert "place" in failures(made)
    assert min(overlap.dice for overlap in made.overlaps if "Lung" in overlap.structure) > 0.8


def test_masks_of_the_wrong_side_fail() -> None:
    expected = case(image())
    objects = answers(expected)
    found = dict(objects["seg 1"].masks)
    found["Left Lung"], found["Right Lung"] = found["Right Lung"], found["Left Lung"]
    objects["seg 1"] = replace(objects["seg 1"], masks=found)
    assert "masks" in failures(judged(expected, objects.values()))


def test_a_mask_that_is_missing_fails() -> None:
    expected = case(image())
    objects = answers(expected)
    objects["seg 1"] = replace(objects["seg 1"], masks={"Heart": masks()["Heart"]})
    assert failures(judged(expected, objects.values())) == ["masks"]


def test_another_grid_fails() -> None:
    expected = case(image())
    objects = answers(expected)
    objects["seg 1"] = replace(objects["seg 1"], size=(SIZE, SIZE - 1))
    assert "grid" in failures(judged(expected, objects.values()))


@pytest.mark.parametrize("kind", ["report", "sr", "seg 1", "sc 1"])
def test_a_second_object_that_says_the_same_fails(kind: str) -> None:
    expected = case(image())
    objects = answers(expected)
    double = replace(objects[kind], instance="1.8.8")
    assert failures(judged(expected, [*objects.values(), double])) == ["nothing twice"]


def test_an_object_that_is_stored_twice_fails() -> None:
    expected = case(image())
    objects = answers(expected)
    assert failures(judged(expected, [*objects.values(), objects["sc 1"]])) == ["nothing twice"]


def test_a_report_that_supersedes_another_is_no_double() -> None:
    expected = case(image())
    objects = answers(expected)
    newer = replace(objects["report"], instance="1.8.8", supersedes=frozenset([objects["report"].instance]))
    assert failures(judged(expected, [*objects.values(), newer])) == []


@pytest.mark.parametrize(
    "change",
    [{"patient_id": "P2"}, {"patient_name": "PHANTOM^TWO"}, {"study": "1.10"}, {"images": frozenset("1")}],
)
def test_an_object_of_another_patient_or_study_fails(change: dict[str, object]) -> None:
    expected = case(image())
    objects = answers(expected)
    objects["sc 1"] = replace(objects["sc 1"], **change)
    assert "patient and study" in failures(judged(expected, objects.values()))


def test_each_image_keeps_its_own_patient() -> None:
    other = replace(image(2), patient_id="P2", patient_name="PHANTOM^TWO")
    expected = case(image(1), other)
    one, two = answers(case(image(1))), answers(case(other))
    theirs = {"patient_id": "P2", "patient_name": "PHANTOM^TWO"}
    second = [replace(o, instance=f"{o.instance}.2", **theirs) for o in two.values()]
    assert failures(judged(expected, [*one.values(), *second])) == []
    mixed = [replace(o, patient_id="P1") for o in second]
    assert failures(judged(expected, [*one.values(), *mixed])) == ["patient and study"]


@pytest.mark.parametrize("kind", ["report", "seg 1", "sc 1"])
def test_what_is_said_of_an_image_that_must_not_be_answered_fails(kind: str) -> None:
    trap = case(image(answered=False))
    said = answers(case(image()))[kind]
    assert failures(judged(trap, [said])) == ["silent"]
    assert failures(judged(trap, [])) == []


@pytest.mark.parametrize("kind", ["report", "seg 1", "sc 1"])
def test_an_image_like_a_patient_s_may_be_answered_by_networks_for_patients_alone(kind: str) -> None:
    trap = case(replace(image(answered=False), as_patient=True))
    said = answers(case(image()))[kind]
    assert failures(judged(trap, [said])) == ["silent"]
    assert failures(judged(trap, [replace(said, series="AI findings - Research")])) == []


def test_what_is_said_of_a_phantom_without_the_phantom_set_s_words_fails() -> None:
    expected = case(image())
    objects = answers(expected)
    objects["sc 1"] = replace(objects["sc 1"], series="AI picture - Research")
    assert failures(judged(expected, objects.values())) == ["marked"]


def test_a_report_that_says_why_an_image_was_not_analysed_is_no_answer() -> None:
    pair = case(image(1), image(2, answered=False))
    objects = answers(pair)
    assert failures(judged(pair, objects.values())) == []
    objects["report"] = replace(objects["report"], reasons=())
    assert failures(judged(pair, objects.values())) == ["reason"]


@pytest.mark.parametrize("language", languages.names())
def test_a_lateral_view_is_left_out_for_being_one(language: str) -> None:
    lateral = replace(image(2, answered=False), reason="view-lateral")
    pair = case(image(1), lateral)
    objects = answers(pair)
    for why, amiss in ((Reason("view-lateral", told="X"), []), (Reason("in-colour"), ["reason"])):
        sentence = f"Image 2 (LL): {why.words(language)}"
        objects["report"] = replace(objects["report"], reasons=(sentence,))
        assert failures(judged(pair, objects.values())) == amiss


def test_an_image_that_is_not_taken_fails_where_it_is_to_be_answered() -> None:
    expected = case(image())
    refused = [replace(one, good=False, says="0xA700") for one in sent(expected)]
    assert failures(judged(expected, [], refused))[0] == "taken"
    trap = case(image(answered=False))
    assert failures(judged(trap, [], [replace(one, good=False) for one in sent(trap)])) == []


def test_an_effusion_may_be_neither_missed_nor_made_up() -> None:
    for drawn in ((), ("Effusion",)):
        expected = case(image(1, drawn))
        assert failures(judged(expected, answers(expected, wrong=("Effusion",)).values())) == ["findings"]


def test_other_findings_on_the_wrong_side_are_told_and_left_to_the_whole() -> None:
    expected = case(image(1, ("Nodule",)))
    made = judged(expected, answers(expected, wrong=("Nodule", "Mass")).values())
    assert failures(made) == []
    assert [d.label for d in made.missed] == ["Nodule"]
    (check,) = [c for c in made.checks if c.name == "findings"]
    assert check.says == "missed: Nodule; not drawn, and found: Mass"


def test_a_drawn_finding_that_is_not_scored_is_missed() -> None:
    expected = case(image(1, ("Hernia",)))
    objects = answers(expected)
    (found,) = objects["report"].findings.values()
    fewer = tuple(f for f in found if f.label != "Hernia")
    objects["report"] = replace(objects["report"], findings={"1.2.1": fewer})
    assert [d.label for d in judged(expected, objects.values()).missed] == ["Hernia"]


def test_what_cannot_be_read_fails() -> None:
    expected = case(image())
    objects = answers(expected)
    objects["sc 1"] = replace(objects["sc 1"], damage="ValueError")
    assert failures(judged(expected, objects.values())) == ["readable"]


@pytest.mark.parametrize("shift", [-20, -3, 0, 5, 20])
def test_a_displacement_is_measured(shift: int) -> None:
    before, after = masks(), masks(shift)
    assert displacement((before[n], after[n]) for n in before) == (shift, shift)


def test_a_larger_mask_is_not_a_displaced_one() -> None:
    before = masks()
    larger = {n: m.copy() for n, m in before.items()}
    for mask in larger.values():  # 40 rows more of each, below: the centre moves by about 20
        lowest = np.flatnonzero(mask.any(axis=1))[-1]
        mask[lowest - 40 : lowest + 40] |= mask[lowest - 40]
    assert displacement((before[n], larger[n]) for n in before) == (0, 0)


def test_dice_is_that_of_dice() -> None:
    one, other = np.zeros((2, 4), bool), np.zeros((2, 4), bool)
    assert dice(one, other) == 1
    one[0], other[:, :2] = True, True
    assert dice(one, other) == 0.5
    with pytest.raises(ValueError, match="masks of"):
        dice(one, other[:, :3])
