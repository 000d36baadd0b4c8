"""What is on record of the tests: alarms, the metric, the doctor, and baselines with who accepted them and why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from xrv_node.analyse.analysis_file import save
from xrv_node.constancy import answer, baseline, record
from xrv_node.db import trail
from xrv_node.db.store import Store
from xrv_node.doctor.constancy import constancy
from xrv_node.doctor.diagnosis import Examined
from xrv_node.reasons import Reason
from xrv_node.settings import Settings
from xrv_node.settings.constancy import ConstancySection
from xrv_node.values import SET_ROLES, Analysis, Finding, Frame, ModelIdentity, ModelSet
from xrv_node.web import metrics

DAILY = Settings(constancy=ConstancySection(at="06:30"))
WHY = Reason("constancy-changed", what="torch", now="2.8", before="2.7")


def put(store: Store, *amiss: Reason) -> None:
    with store.begin() as db:
        trail.record(
            db, record.CHECKED, study="1.2", good=not amiss, amiss=list(amiss), machine={}, scores={}
        )


def metric(store: Store) -> list[float]:
    with store.read() as db:
        return [value for _, value in metrics._constancy(db)["xrv_node_constancy_ok"]]


def doctor(store: Store) -> list[tuple[str, str]]:
    return [(str(state), says) for state, says, _ in constancy(Examined(DAILY, store, False))]


def test_the_newest_test_is_the_alarm(store: Store) -> None:
    assert metric(store) == []
    assert doctor(store)[0][0] == "warn"
    put(store, WHY)
    assert metric(store) == [0]
    assert doctor(store) == [("fail", "torch is 2.8, in the baseline it is 2.7")]
    put(store)
    assert metric(store) == [1]
    assert doctor(store)[0][0] == "ok"


def test_only_studies_that_the_node_sent_itself_are_tests(store: Store) -> None:
    with store.begin() as db:
        trail.record(db, record.BEGAN, study="1.2")
        trail.record(db, "instance.received", study="1.3")
        assert [record.is_test(db, uid) for uid in ("1.2", "1.3", "1.4")] == [True, False, False]


def test_a_baseline_is_kept_with_who_accepted_it_and_why(store: Store, tmp_path: Path) -> None:
    kept = Analysis(
        sop_instance_uid="1.2.3",
        model_set=ModelSet(*(ModelIdentity(role, role, "ab" * 32) for role in SET_ROLES)),
        findings=(Finding("Effusion", 0.75, 0.5),),
        structures=("Heart",),
        masks=np.ones((1, 8, 8), np.bool_),
        frame=Frame(16, 16, 0, 0, 16),
        reconstruction_error=1.0,
        embedding=np.zeros(4, np.float32),
        resampler="linear",
        ssim=1.0,
    )
    place = baseline.measured(tmp_path, "1.2")
    place.parent.mkdir()
    save(kept, place)
    with store.begin() as db:
        baseline.accept(db, tmp_path, "1.2", {"torch": "2.7"}, name="Ann", reason="new driver")
        event = record.newest(db, record.ACCEPTED)
    assert event is not None
    assert {k: event["detail"][k] for k in ("name", "reason", "machine")} == {
        "name": "Ann",
        "reason": "new driver",
        "machine": {"torch": "2.7"},
    }
    found = baseline.read(tmp_path, event)
    assert isinstance(found, answer.Answer)
    assert found.scores == {"Effusion": 0.75}
    baseline.accepted(tmp_path).write_bytes(b"another")
    assert baseline.read(tmp_path, event) == Reason("constancy-baseline-lost")
    baseline.accepted(tmp_path).unlink()
    assert baseline.read(tmp_path, event) == Reason("constancy-baseline-lost")


def test_without_networks_for_patients_the_machine_alone_is_accepted(store: Store, tmp_path: Path) -> None:
    with store.begin() as db:
        baseline.accept(db, tmp_path, "1.2", {"torch": "2.7"}, name="Ann", reason="first")
        event = record.newest(db, record.ACCEPTED)
    assert event is not None
    assert baseline.read(tmp_path, event) is None


@pytest.mark.parametrize("at", ["6.30", "25:00", "noon"])
def test_a_time_that_is_none_is_refused(at: str) -> None:
    with pytest.raises(ValueError, match="a time of the day is needed"):
        ConstancySection(at=at)


def test_the_phantom_needs_a_port_and_known_destinations() -> None:
    with pytest.raises(ValueError, match=r"give receive\.port a number"):
        Settings(constancy={"at": "06:30"}, receive={"port": 0})
    with pytest.raises(ValueError, match=r"receive\.allowed_calling_ae: add OTHER"):
        Settings(constancy={"at": "06:30", "calling_ae": "OTHER"}, receive={"allowed_calling_ae": ["PACS"]})
    with pytest.raises(ValueError, match=r"receive\.allowed_addresses: add 127\.0\.0\.1"):
        Settings(constancy={"at": "06:30"}, receive={"host": "0.0.0.0", "allowed_addresses": ["10.0.0.5"]})
    with pytest.raises(ValueError, match="pacs is none of the destinations"):
        Settings(constancy={"destinations": ["pacs"]})
