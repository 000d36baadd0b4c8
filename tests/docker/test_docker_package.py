"""The Debian package, built and lived with: installed, started, upgraded, removed and purged, on a copy of this machine
that is thrown away (an overlay of its root in namespaces of its own)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from docker_files import DOCKER, ROOT
from peers.peer_programs import find, missing
from ports import free_port

HERE = Path(__file__).parent
PYTHON = "/usr/bin/python3"
APART = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]

AROUND = r"""
set -euo pipefail
work=$1 shared=$2 port=$3
shift 3
mount -t tmpfs -o mode=0755 tmpfs "$work"
mkdir "$work"/{upper,work,root}
mount -t overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" overlay "$work/root"
cd "$work/root"
for folder; do  # what the environment leads to, which the node's user must reach
    mount --bind "$folder" ".$folder"
    while folder=$(dirname "$folder"); [ "$folder" != / ]; do chmod o+x ".$folder"; done
done
mount -t proc proc proc
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount --bind "$shared" mnt
exec env --ignore-environment PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot . bash /mnt/package_life.sh "$port"
"""


def unavailable(why: str) -> None:
    (pytest.fail if os.environ.get("XRV_NODE_PEERS") == "required" else pytest.skip)(why)


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """What is needed there: two revisions of a package, whose environment is a small one that leads to this one's
    libraries and to the project."""
    if os.geteuid() != 0:
        unavailable("only root can install a package")
    for name in ("dpkg-deb", "unshare", "sqlite3"):
        if find(name) is None:
            pytest.skip(missing(name))
    if subprocess.run([*APART, "true"], capture_output=True, check=False).returncode:
        unavailable("this machine lets nobody have namespaces")
    asked = subprocess.run(
        [PYTHON, "-c", "import sys; print(*sys.version_info[:2])"],
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.stdout.split() != [str(n) for n in sys.version_info[:2]]:
        unavailable(f"{PYTHON} is another version than that of the tests, whose libraries it is to load")
    venv, out = tmp_path / "venv", tmp_path / "shared"
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", str(venv)], check=True)
    (packages,) = venv.glob("lib/python*/site-packages")
    (libraries,) = Path(sys.prefix).resolve().glob("lib/python*/site-packages")
    (packages / "here.pth").write_text(f"{ROOT}\n{libraries}\n")
    for revision in (1, 2):
        build("--venv", venv, "--revision", revision, "--out", tmp_path / str(revision))
        (package,) = (tmp_path / str(revision)).glob("xrv-node_*.deb")
        out.mkdir(exist_ok=True)
        package.rename(out / f"{revision}.deb")
    shutil.copy(HERE / "package_life.sh", out)
    shutil.copy(HERE.parent / "db" / "old" / "0001.sql", out)
    return out


def build(*options: object) -> None:
    subprocess.run([str(DOCKER / "debian" / "build"), *map(str, options)], check=True)


@pytest.mark.peers
def test_it_is_installed_started_upgraded_removed_and_purged(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    folders = [ROOT, Path(sys.prefix).resolve()]
    ran = subprocess.run(
        [*APART, "bash", "-c", AROUND, "around", *map(str, (tmp_path / "there", shared, free_port(), *folders))],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    print(ran.stdout)
    assert ran.returncode == 0, ran.stdout
    steps = [line[3:].split(",")[0] for line in ran.stdout.splitlines() if line.startswith("== ")]
    assert steps == ["install", "first start", "upgrade", "removal", "purge", "done"]


def test_an_environment_of_another_python_is_refused(tmp_path: Path) -> None:
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "venv" / "bin" / "python").symlink_to("/bin/true")
    with pytest.raises(subprocess.CalledProcessError):
        build("--venv", tmp_path / "venv", "--out", tmp_path)
    assert not list(tmp_path.glob("*.deb"))
