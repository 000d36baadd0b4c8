"""The running node: what goes in, what comes out, and how it stops."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import forked
import pytest
from made import SECRET, radiograph
from pydicom import dcmread
from serving import Node, wait, with_networks

from xrv_node import role_locks, starting
from xrv_node.db import queries, trail
from xrv_node.errors import ConfigError
from xrv_node.settings import load

pytestmark = pytest.mark.slow  # they tell one story of one node, and go together


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node that all tests of this file send to."""
    made = Node(tmp_path_factory.mktemp("node"), small=True).start()
    yield made
    if made.process is not None and made.process.poll() is None:
        made.kill()


def test_the_ready_line_says_who_may_send_and_what_it_is_not(node: Node) -> None:
    assert node.ready.startswith("xrv-node is ready: XRVNODE at 127.0.0.1:")
    assert "accepts any AE title (receive.allowed_calling_ae)" in node.ready
    assert "PHANTOM MODEL SET" not in node.ready
    assert "not a medical device" in node.ready


def test_a_study_goes_in_and_its_results_come_out(node: Node) -> None:
    lateral = radiograph(2, ViewPosition="LL", PatientOrientation=["A", "F"])
    broken = radiograph(3)
    broken.PixelData = broken.PixelData[:1000]
    assert [s.says for s in node.send([radiograph(1), lateral, broken])] == ["0x0000"] * 3
    node.wait_for_results(1, seconds=180)
    found = node.study("1.2.3.1")
    assert [i["state"] for i in found["instances"]] == ["analysed", "skipped", "failed"]
    assert sorted(r["kind"] for r in found["results"]) == ["report", "sc", "seg", "sr"]
    assert {d["state"] for r in found["results"] for d in r["deliveries"]} == {"delivered"}
    objects = [dcmread(p) for p in node.delivered()]
    assert {str(o.SOPInstanceUID) for o in objects} == {r["instance"] for r in found["results"]}
    for made in objects:
        assert made.PatientName == radiograph().PatientName
        assert made.StudyInstanceUID == "1.2.3.1"
        assert "not for diagnosis" in made.SeriesDescription


def test_the_same_study_again_makes_nothing_new(node: Node) -> None:
    before = node.delivered()
    node.send([radiograph(1)])
    node.wait_for_results(1, seconds=60)
    assert node.delivered() == before
    assert node.study("1.2.3.1")["revision"] == 1


def test_a_late_image_supersedes_the_report(node: Node) -> None:
    first = {r["instance"]: r["kind"] for r in node.study("1.2.3.1")["results"]}
    node.send([radiograph(4)])
    wait(lambda: node.study("1.2.3.1")["revision"] == 2, 30, "the study to close again")
    node.wait_for_results(1, seconds=120)
    second = {
        r["instance"]: r["kind"] for r in node.study("1.2.3.1")["results"] if r["instance"] not in first
    }
    assert sorted(second.values()) == ["report", "sc", "seg", "sr"]
    for path in node.delivered():
        made = dcmread(path)
        if str(made.SOPInstanceUID) in second and made.Modality == "SR":
            kind = second[str(made.SOPInstanceUID)]
            (study,) = made.PredecessorDocumentsSequence
            predecessor = study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
            assert first[str(predecessor.ReferencedSOPInstanceUID)] == kind


def test_our_own_results_sent_back_are_known(node: Node) -> None:
    before = node.study("1.2.3.1")
    assert all(s.good for s in node.send([dcmread(p) for p in node.delivered()]))
    after = node.study("1.2.3.1")
    assert (after["state"], after["revision"]) == (before["state"], before["revision"])
    assert len(after["instances"]) == len(before["instances"])


@pytest.mark.parametrize("role", ["receiver", "courier", "worker"])
def test_a_process_that_dies_is_started_again(node: Node, role: str) -> None:
    before = node.children()[role]
    assert node.kill_one(role)
    wait(lambda: node.children().get(role, before) != before, 20, f"a new {role}")
    number = {"receiver": 11, "courier": 12, "worker": 13}[role]

    def sent() -> bool:
        try:
            return all(s.good for s in node.send([radiograph(1, study=number)]))
        except Exception:
            return False

    wait(sent, 30, "the node to take an image")
    wait(lambda: bool(node.study(f"1.2.3.{number}")), 5, "its row")
    node.wait_for_results(number - 9, seconds=180)


def test_a_second_serve_on_the_same_data_directory_is_refused(node: Node) -> None:
    done = forked.run(
        [*forked.COMMAND, "serve", "--commissioning", "--config", str(node.config)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "another `xrv-node serve` uses" in done.stderr
    assert role_locks.is_serving(node.directory / "data")


def test_sigterm_drains_and_exits_0(node: Node) -> None:
    node.send([radiograph(1, study=21), radiograph(1, study=22)])
    assert node.stop() == 0
    assert not role_locks.is_serving(node.directory / "data")
    store = node.store()
    with store.read() as db:
        jobs = queries.jobs(db)
        assert isinstance(trail.verify(db), int)
        assert [e["detail"]["clean"] for e in queries.events(db, event="node.stopped")] == [True]
    store.close()
    assert "running" not in {j["state"] for j in jobs}


def test_what_was_left_is_finished_after_a_new_start(node: Node) -> None:
    node.start()
    node.wait_for_results(6, seconds=180)
    assert node.stop() == 0


def test_the_log_names_no_patient(node: Node) -> None:
    text = node.log.read_text()
    assert "analysed" in text
    assert SECRET not in text


def test_the_supervisors_death_ends_its_processes(tmp_path: Path) -> None:
    made = Node(tmp_path / "n", small=True).start()
    pids = made.children()
    assert set(pids) == {"receiver", "worker", "courier"}
    assert made.process is not None
    os.kill(made.process.pid, signal.SIGKILL)
    made.process.wait()
    wait(lambda: not any(Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids.values() if _alive(pid)), 60,
         "the processes to end")  # fmt: skip


def _alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False


def test_with_weights_what_comes_out_is_a_result(tmp_path: Path) -> None:
    from safetensors.numpy import save_file
    from untrained import seeded_state

    from xrv_node.models import catalog
    from xrv_node.models.convert import tensors_sha256

    directory = tmp_path / "data" / "models"
    directory.mkdir(parents=True)
    for name in ("densenet121-res224-nih", "chestx_det", "101-elastic"):
        entry = catalog.find(name)
        state = {key: value.numpy() for key, value in seeded_state(entry).items()}
        record = {
            "name": name, "source_file": entry.file, "source_sha256": "0" * 64,
            "tensors_sha256": tensors_sha256(state), "imported_at": "2026-01-01T00:00:00+00:00", "xrv_node": "0",
        }  # fmt: skip
        save_file(state, entry.weights_path(directory), metadata=record)
    node = Node(tmp_path, '[models]\nclassifier = "nih"\n', stand_ins=False).start()
    assert "PHANTOM" not in node.ready
    node.send([radiograph(1)])
    node.wait_for_results(1, seconds=120)
    assert node.stop() == 0
    for path in node.delivered():
        made = dcmread(path)
        assert "PHANTOM" not in str(made)
        assert "not for diagnosis" in made.SeriesDescription
    (image,) = node.study("1.2.3.1")["instances"]
    (analysis,) = image["analyses"]
    assert analysis["models"]["classifier"] == "densenet121-res224-nih"
    assert len(analysis["scores"]) == 14  # the heads that these weights were trained on


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("[receive]\nport = {taken}\n", "receive.host, receive.port: cannot listen on 127.0.0.1:{taken}"),
        ('[models]\ndevice = "cuda:99"\n', "is 'cuda:99', which this machine does not have"),
    ],
)
def test_what_a_process_finds_wrong_at_its_first_start_ends_the_node(
    tmp_path: Path, config: str, message: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        node = Node(tmp_path, config.format(taken=taken))
        done = forked.run(
            [*forked.COMMAND, "serve", "--config", str(node.config)],
            env=with_networks(os.environ), capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert message.format(taken=taken) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    config = tmp_path / "node.toml"
    config.write_text('[node]\ndata_dir = "file/data"\n')
    with pytest.raises(ConfigError, match=r"node\.data_dir: .* cannot be made"):
        starting.check(load(config), commissioning=True)


def test_a_role_lock_has_one_holder(tmp_path: Path) -> None:
    with (
        role_locks.hold_role(tmp_path, "worker") as first,
        role_locks.hold_role(tmp_path, "worker") as second,
    ):
        assert first.endswith("/worker-0")
        assert second.endswith("/worker-1")
    with role_locks.hold_role(tmp_path, "worker") as again:
        assert again == first
