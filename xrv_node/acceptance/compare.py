"""One case: what has come back beside what is true. Pure: values in, a row of the protocol out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from xrv_node import languages
from xrv_node.acceptance.arrived import ArrivedObject
from xrv_node.acceptance.expected import ExpectedCase, ExpectedImage, Sending
from xrv_node.acceptance.row import Check, Decision, Overlap, Row, counted
from xrv_node.acceptance.segmentations import alike, grid, in_place, overlaps

COMPARABLE = ("report", "sr", "seg", "sc", "pdf")
"""The kinds of which one object says what there is to say of an image."""
NEVER = ("Effusion", "Pneumothorax")
"""The findings that may never be on the wrong side of their operating point."""
NOTHING = "nothing arrived"
_PICTURES = frozenset({"seg", "sc", "sr-image", "pm", "gsps"})
"""Kinds of which no object is made of an image that is not answered."""


def row(
    expected: ExpectedCase,
    sendings: Sequence[Sending],
    objects: Iterable[ArrivedObject],
    kinds: Sequence[str] = ("report", "sr", "seg", "sc"),
) -> Row:
    """Judge one case.

    Parameters
    ----------
    expected
        The case as it was sent.
    sendings
        How its images went out, in order; an image may have gone more than once.
    objects
        All that came of its studies.
    kinds
        Those of `COMPARABLE` that the destination is sent.
    """
    images = {image.instance: image for image in expected.images}
    came = [one for one in objects if one.study in expected.studies or one.images & images.keys()]
    superseded = frozenset(uid for one in came for uid in one.supersedes)
    current = list({one.instance: one for one in came if one.instance not in superseded}.values())
    answered = [image for image in expected.images if image.answered]
    decisions = tuple(d for image in answered for d in _decisions(image, current))
    masks = tuple(o for image in answered for o in overlaps(image, current)) if "seg" in kinds else ()
    lost = _lost(answered, current, kinds)
    checks = [
        _taken(answered, sendings),
        _whole(lost, answered, kinds),
        _silent(expected.images, current),
        *_objects(expected.images, came, current, decisions, masks),
    ]
    return Row(
        name=expected.case.name,
        group=expected.case.group,
        study=tuple(sorted(expected.studies)),
        images=tuple(images),
        objects=_by_kind(came),
        sent=counted(s.says for s in sendings),
        expected=_wanted(answered, len(images), kinds),
        arrived=counted(one.kind or "unknown" for one in came) or NOTHING,
        seconds=_seconds(answered, sendings, current) if answered and not lost else None,
        checks=tuple(checks),
        decisions=decisions,
        overlaps=masks,
    )


def _objects(
    images: Sequence[ExpectedImage],
    came: Sequence[ArrivedObject],
    current: Sequence[ArrivedObject],
    decisions: Sequence[Decision],
    masks: Sequence[Overlap],
) -> list[Check]:
    """What there is to say of the objects; where none came, nothing of them is right."""
    answered = [image for image in images if image.answered]
    checks = [_readable(came), _once(answered, came, current), _marked(answered, current)]
    checks.append(_patients({image.instance: image for image in images}, came))
    if masks:
        checks += [grid(answered, current), alike(masks), in_place(answered, current)]
    if answered:
        checks.append(_findings(decisions))
    if answered and len(answered) < len(images):
        checks.append(_reason(images, current))
    if came:
        return checks
    return [Check(check.name, False, NOTHING) for check in checks if answered]


def _readable(came: Iterable[ArrivedObject]) -> Check:
    bad = [one.damage for one in came if one.damage]
    return Check("readable", not bad, "; ".join(bad) or "all objects")


def complete(expected: ExpectedCase, objects: Iterable[ArrivedObject], kinds: Sequence[str]) -> bool:
    """Whether all that is to come of a case has come: at once, of one that is not to be answered."""
    return not _lost([image for image in expected.images if image.answered], list(objects), kinds)


def _taken(answered: Sequence[ExpectedImage], sendings: Sequence[Sending]) -> Check:
    taken = {s.instance for s in sendings if s.good}
    lost = [s.says for s in sendings if s.instance not in taken]
    refused = [image.instance for image in answered if image.instance not in taken]
    return Check("taken", not refused, counted(lost) or "every image")


def _lost(
    answered: Iterable[ExpectedImage], objects: Iterable[ArrivedObject], kinds: Sequence[str]
) -> list[tuple[str, str]]:
    """Image and kind of what has not come."""
    there = {(uid, one.kind) for one in objects for uid in one.images}
    return [
        (image.instance, kind) for image in answered for kind in kinds if (image.instance, kind) not in there
    ]


def _whole(lost: Sequence[tuple[str, str]], answered: Sequence[ExpectedImage], kinds: Sequence[str]) -> Check:
    missing = counted(kind for _, kind in lost)
    return Check(
        "nothing lost", not lost, f"missing: {missing}" if lost else f"{len(answered) * len(kinds)} of all"
    )


def _once(
    answered: Iterable[ExpectedImage], came: Sequence[ArrivedObject], current: Iterable[ArrivedObject]
) -> Check:
    again = [one.kind for one in came]
    for instance in {one.instance: one.kind for one in came}.values():
        again.remove(instance)
    about = Counter((uid, one.kind) for one in current for uid in one.images if one.kind in COMPARABLE)
    for image in answered:
        again += [kind for kind in COMPARABLE if about[image.instance, kind] > 1]
    return Check("nothing twice", not again, f"twice: {counted(again)}" if again else "each object once")


def _silent(images: Iterable[ExpectedImage], objects: Iterable[ArrivedObject]) -> Check:
    """Nothing is said of an image that must not be answered; of one that looks like a patient's, nothing by
    the networks for phantoms."""
    said = counted(
        one.kind
        for image in images
        if not image.answered
        for one in objects
        if one.of_phantom_set or not image.as_patient
        if one.findings.get(image.instance)
        or one.regions.get(image.instance)
        or (one.kind in _PICTURES and image.instance in one.images)
    )
    return Check(
        "silent", not said, f"answered all the same: {said}" if said else "no findings but those due"
    )


def _marked(answered: Iterable[ExpectedImage], objects: Iterable[ArrivedObject]) -> Check:
    """What is said of a phantom is said by the networks for phantoms, and says so."""
    phantoms = {image.instance for image in answered}
    bare = counted(one.kind for one in objects if one.images & phantoms and not one.of_phantom_set)
    return Check("marked", not bare, f"without the phantom set's words: {bare}" if bare else "every object")


def _patients(images: Mapping[str, ExpectedImage], came: Iterable[ArrivedObject]) -> Check:
    """Each object has the patient and the study of the images that it is about."""
    wrong = []
    for one in came:
        about = [images[uid] for uid in one.images if uid in images]
        if not about:
            wrong.append(f"{one.kind or 'an object'} about none of the images")
        elif {(i.patient_id, i.patient_name) for i in about} != {(one.patient_id, one.patient_name)}:
            wrong.append(f"{one.kind} of another patient")
        elif {i.study for i in about} != {one.study}:
            wrong.append(f"{one.kind} in another study")
    return Check("patient and study", not wrong, "; ".join(sorted(set(wrong))) or "those of the images")


def _decisions(image: ExpectedImage, objects: Iterable[ArrivedObject]) -> Iterator[Decision]:
    """Every finding that there is truth of."""
    reports = [one.findings[image.instance] for one in objects if image.instance in one.findings]
    for found in reports or [()]:
        scores = {finding.label: finding.score for finding in found}
        for label, drawn in image.findings.items():
            yield Decision(image.instance, label, drawn, scores.get(label, math.nan))


def _reason(images: Iterable[ExpectedImage], objects: Iterable[ArrivedObject]) -> Check:
    """The report of a study tells why one of its images was not analysed: the reason that is true."""
    given = [reason for one in objects for reason in one.reasons]
    wanted = [image.reason for image in images if image.reason]
    told = bool(given) and all(any(_says(sentence, key) for sentence in given) for key in wanted)
    return Check("reason", told, "; ".join(given) or "the report does not say why an image was not analysed")


def _says(sentence: str, key: str) -> bool:
    """Whether a sentence is a reason's, in whatever language."""
    rows = (languages.table(name)["reason"][key] for name in languages.names())
    return any(row.rpartition("}")[2].strip(" :.") in sentence for row in rows)


def _findings(decisions: Sequence[Decision]) -> Check:
    """There are scores, and none of `NEVER` is on the wrong side; how many others are is for all rows
    together."""
    wrong = [d for d in decisions if not d.right]
    good = bool(decisions) and not any(d.label in NEVER for d in wrong)
    return Check("findings", good, "; ".join(told(wrong)) or f"{len(decisions)} right")


def told(wrong: Iterable[Decision]) -> list[str]:
    """Say what is not right, a line for each way to be wrong."""
    ways = {
        "missed": [d.label for d in wrong if d.arrived and d.drawn],
        "not drawn, and found": [d.label for d in wrong if d.arrived and not d.drawn],
        "no score": [d.label for d in wrong if not d.arrived],
    }
    return [f"{way}: {counted(sorted(labels))}" for way, labels in ways.items() if labels]


def _seconds(
    answered: Iterable[ExpectedImage], sendings: Sequence[Sending], objects: Iterable[ArrivedObject]
) -> float | None:
    first: dict[str, float] = {}
    for sending in sendings:
        if sending.good:
            first.setdefault(sending.instance, sending.at)
    begun = [first[image.instance] for image in answered if image.instance in first]
    there = [one.at for one in objects]
    return max(max(there) - max(begun), 0.0) if begun and there else None


def _wanted(answered: Sequence[ExpectedImage], images: int, kinds: Sequence[str]) -> str:
    drawn = [label for image in answered for label, there in image.findings.items() if there]
    said = f"{', '.join(kinds)} of {len(answered)} of {images}" if answered else "nothing"
    return said + (f"; {', '.join(dict.fromkeys(drawn))}" if drawn else "")


def _by_kind(came: Iterable[ArrivedObject]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for one in came:
        found[one.kind or "unknown"] = (*found.get(one.kind or "unknown", ()), one.instance)
    return found
