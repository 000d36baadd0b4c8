"""The second classifier: what it takes and leaves, that it waits for jobs, and that what fails of it harms none."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from analysed import RULES, Networks, Site, image
from made import SECRET, incoming
from retained import done, expire
from sqlalchemy import select
from torch import Tensor, nn
from worded import said

from xrv_node import settings, starting
from xrv_node.db.store import Store
from xrv_node.db.tables import Instance, Job, ShadowRow
from xrv_node.errors import ConfigError, WeightsError
from xrv_node.jobs import analyse, shadow, worker
from xrv_node.jobs.shadow import Shadow
from xrv_node.jobs.worker import ProcessSpoiledError
from xrv_node.models import catalog
from xrv_node.models.model import Classifier
from xrv_node.receive import intake
from xrv_node.spool import Spool


class Second(nn.Module):
    """Seeded: a linear look at sixteen parts of the image. It fails as it is told."""

    def __init__(self, outputs: int, fails: BaseException | None = None, gain: float = 1e-3) -> None:
        super().__init__()
        drawn = torch.randn(outputs, 16, generator=torch.Generator().manual_seed(7)) * gain
        self.weight = nn.Parameter(drawn, requires_grad=False)
        self.fails, self.seen = fails, 0

    def forward(self, x: Tensor) -> Tensor:
        self.seen += 1
        if self.fails is not None:
            raise self.fails
        return nn.functional.adaptive_avg_pool2d(x, 4).flatten(1) @ self.weight.T


def second(name: str = "all", weights: str = "5e" * 32, **options: Any) -> Classifier:
    entry = catalog.find(name)
    return Classifier(entry, Second(len(entry.labels), **options), weights)


@pytest.fixture
def site(store: Store, spool: Spool) -> Site:
    return Site(store, spool)


def rows(site: Site) -> list[ShadowRow]:
    with site.store.read() as db:
        return list(db.scalars(select(ShadowRow).order_by(ShadowRow.id)))


def steps(site: Site, classifier: Classifier, number: int = 9) -> Shadow:
    made = Shadow(site.store, site.spool, classifier)
    for _ in range(number):
        made.step()
    return made


def test_it_answers_what_was_analysed_once_each(site: Site) -> None:
    site.analyse(image(1), image(1, number=2))
    classifier = second()
    made = steps(site, classifier)
    first, other = rows(site)
    assert classifier.network.seen == 2
    assert set(first.scores or {}) == set(classifier.pathologies)
    assert first.scores != other.scores
    assert (first.classifier, first.weights, first.error) == ("densenet121-res224-all", "5e" * 32, None)
    site.analyse(image(2))
    made.step()
    assert len(rows(site)) == 3


def test_after_a_restart_it_goes_on_where_it_was(site: Site) -> None:
    site.analyse(*(image(1, number=n) for n in (1, 2, 3)))
    steps(site, second(), 2)
    classifier = second()
    steps(site, classifier)
    assert classifier.network.seen == 1
    assert len({row.instance_id for row in rows(site)}) == 3


def test_other_weights_answer_anew(site: Site) -> None:
    site.analyse(image(1))
    steps(site, second())
    steps(site, second(weights="6f" * 32))
    steps(site, second("nih"))
    assert len(rows(site)) == 3


def test_it_leaves_phantoms_laterals_and_what_is_not_analysed(site: Site) -> None:
    site.analyse(image(3), networks=Networks(phantom=True))
    site.analyse(image(4, ViewPosition="LL", PatientOrientation=["A", "F"]))
    intake.accept(site.store, site.spool, RULES, incoming(image(5)))
    steps(site, second())
    assert rows(site) == []


def test_it_answers_only_what_is_still_there_and_as_it_came(site: Site) -> None:
    site.analyse(image(1), image(1, number=2), image(1, number=3))
    with site.store.read() as db:
        paths = [site.spool.absolute(i.path) for i in db.scalars(select(Instance).order_by(Instance.id))]
    paths[0].unlink()
    changed = bytearray(paths[1].read_bytes())
    changed[-5] ^= 1
    paths[1].write_bytes(changed)
    classifier = second()
    steps(site, classifier)
    gone, other, whole = rows(site)
    assert (gone.scores, other.scores, classifier.network.seen) == (None, None, 1)
    assert gone.error is not None
    assert "is not as it came" in said(other.error) or "changed" in said(other.error)
    assert whole.scores
    assert SECRET not in said(gone.error) + said(other.error)


def test_purged_images_are_left_and_its_answers_go_with_the_results(site: Site) -> None:
    done(site)
    steps(site, second())
    assert len(rows(site)) == 2
    assert expire(site, inputs_days=30) == 1
    assert len(rows(site)) == 2
    assert expire(site, results_days=30) == 1
    assert rows(site) == []
    steps(site, second())
    assert rows(site) == []


# ---------------------------------------------------------------- what fails


@pytest.mark.parametrize(
    ("fails", "says"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), "OutOfMemoryError"),
        (RuntimeError("shape"), "RuntimeError"),
    ],
)
def test_what_fails_of_an_image_is_on_record_and_the_next_one_comes(
    site: Site, fails: Exception, says: str
) -> None:
    site.analyse(image(1), image(1, number=2))
    classifier = second(fails=fails)
    made = steps(site, classifier, 1)
    classifier.network.fails = None
    made.step()
    bad, good = rows(site)
    assert (bad.scores, bool(good.scores)) == (None, True)
    assert says in said(bad.error)


def test_no_number_is_no_answer(site: Site) -> None:
    site.analyse(image(1))
    steps(site, second(gain=float("inf")))
    (row,) = rows(site)
    assert (row.scores, row.error is not None) == (None, True)


def test_a_lost_device_ends_the_process_and_not_again_for_the_same_image(site: Site) -> None:
    site.analyse(*(image(1, number=n) for n in range(1, 6)))
    for _ in range(shadow.GIVE_UP):
        made = Shadow(site.store, site.spool, second(fails=RuntimeError("CUDA error: an illegal address")))
        assert not made.gives_up()
        with pytest.raises(ProcessSpoiledError):
            made.step()
    assert len({row.instance_id for row in rows(site)}) == shadow.GIVE_UP
    assert Shadow(site.store, site.spool, second()).gives_up()
    assert not Shadow(site.store, site.spool, second(weights="6f" * 32)).gives_up()


def test_a_database_that_does_not_answer_is_a_rest(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.analyse(image(1))
    made = Shadow(site.store, site.spool, second())

    def locked() -> int:
        raise OSError("database is locked")

    with monkeypatch.context() as patch:
        patch.setattr(made, "_taken", locked)
        made.step()
    made.step()
    assert rows(site) == []
    monkeypatch.setattr(shadow, "monotonic", lambda: 1e12)
    made.step()
    assert len(rows(site)) == 1


def test_one_that_cannot_be_loaded_is_none(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shadow.start("nih", tmp_path, "cpu", site.store, site.spool) is None
    monkeypatch.setattr(shadow, "get_model", lambda *_: second("nih"))
    assert shadow.start("nih", tmp_path, "cpu", site.store, site.spool) is not None


def test_jobs_come_first(site: Site) -> None:
    """The worker takes a job whenever there is one; an image of the shadow only when there is none."""
    site.analyse(image(1), image(1, number=2))
    classifier, stop, order = second(), threading.Event(), list[str]()
    made = Shadow(site.store, site.spool, classifier)
    networks = Networks()

    def analysed(claims: Any) -> None:
        order.append("job")
        analyse.run(site.store, site.spool, networks, claims)

    def idle() -> None:
        made.step()
        order.append("shadow")
        if len(order) == 1:  # two studies come while it is busy
            for study in (2, 3):
                intake.accept(site.store, site.spool, RULES, incoming(image(study)))
        if classifier.network.seen == 4:
            stop.set()

    handler = worker.Handler("analyse", analysed)
    worker.work(site.store, [handler], owner="t", stop=stop, idle=idle)
    assert order == ["shadow", "job", "job", "shadow", "shadow", "shadow"]
    assert len(rows(site)) == 4
    with site.store.read() as db:
        assert {job.kind for job in db.scalars(select(Job))} == {"analyse"}


# ---------------------------------------------------------------- the configuration


def configured(tmp_path: Path, name: str) -> settings.Settings:
    path = tmp_path / "node.toml"
    path.write_text(f"[models]\ndir = '{tmp_path / 'models'}'\n[models.shadow]\nclassifier = '{name}'\n")
    return settings.load(path)


def test_a_start_needs_its_weights_and_one_that_a_node_can_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = configured(tmp_path, "densenet121-res224-nih")
    assert chosen.models.needed[3:] == ("densenet121-res224-nih",)
    monkeypatch.setattr("xrv_node.models.missing", lambda names, _: [n for n in names if "nih" in n])
    with pytest.raises(WeightsError, match="xrv-node models pull densenet121-res224-nih"):
        starting.check_weights(chosen)
    monkeypatch.setattr("xrv_node.models.missing", lambda *_: [])
    starting.check_weights(chosen)
    with pytest.raises(ConfigError, match="the node does not run chexpert"):
        starting.check_weights(configured(tmp_path, "chexpert"))
    with pytest.raises(WeightsError, match="no classifier is called 'xinario'"):
        starting.check_weights(configured(tmp_path, "xinario"))
