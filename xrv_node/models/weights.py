"""The model directory: one safetensors file for each network, made from the released file.

Each tells where it came from in its own header, so a directory can be copied to another machine as it is:

``name``            as in the catalogue
``source_file``     the released file's name
``source_sha256``   its digest
``tensors_sha256``  digest of the tensors (``convert.tensors_sha256``)
``imported_at``     UTC, ISO 8601
``xrv_node``        version that converted it
``settings``        JSON: the network's dimensions, where only the released file knows them

Trust: a released file whose digest the catalogue knows must have it. One whose digest nobody has published
is trusted the first time, and its digest recorded in that header; a different file for the same network is
refused from then on, unless ``force`` is given or the first one is removed.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xrv_node import __version__
from xrv_node.errors import WeightsError
from xrv_node.models import catalog

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from xrv_node.models.catalog import Entry

CONVERSION_SECONDS = 600
"""After which a conversion is given up; the largest file takes a few seconds."""


@dataclass(frozen=True, slots=True)
class Installed:
    """What the header of a converted file says."""

    name: str
    path: Path
    source_file: str
    source_sha256: str
    tensors_sha256: str
    imported_at: str
    """UTC, ISO 8601."""
    xrv_node: str
    """Version that converted it."""
    settings: str = "{}"
    """JSON: the network's dimensions, where only the released file knows them."""

    @property
    def dimensions(self) -> dict[str, Any]:
        """``settings`` as parameters of the architecture."""
        values: dict[str, Any] = json.loads(self.settings)
        return values


def missing(names: Iterable[str], directory: Path) -> list[str]:
    """Names, as in the catalogue, of the networks whose weights are not in a directory.

    Raises
    ------
    WeightsError
        A name that the catalogue does not have.
    """
    entries = [catalog.find(name) for name in names]
    return [entry.name for entry in entries if not entry.weights_path(directory).is_file()]


def not_there(names: Iterable[str], directory: Path) -> WeightsError:
    """Return the error that says how missing weights are got."""
    joined = " ".join(names)
    return WeightsError(
        f"weights of {joined} are not in {directory}: run `xrv-node models pull {joined}` or, without "
        "internet, `xrv-node models import FILE`; or serve --commissioning to set up routes without results"
    )


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from error


def recognise(source: Path) -> Entry:
    """Find the catalogue's entry of a released file, by its digest, else by its name.

    Raises
    ------
    WeightsError
        Neither is known: the seven classifiers have the same shapes, so a name is needed.
    """
    digest = file_sha256(source)
    for entry in catalog.entries():
        if entry.sha256 == digest or entry.file == source.name:
            return entry
    raise WeightsError(f"{source.name} is not a file of the catalogue: say which network it is with --name")


def installed(entry: Entry, directory: Path) -> Installed | None:
    """Return what the header of a network's converted file says, or None where there is no file.

    Raises
    ------
    WeightsError
        The file is damaged or was not written by the node.
    """
    from safetensors import SafetensorError, safe_open

    path = entry.weights_path(directory)
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
        record = Installed(path=path, **metadata)
        json.loads(record.settings)
        return record
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        raise _damaged(entry, path) from error


def import_file(source: Path, entry: Entry, directory: Path, *, force: bool = False) -> Installed:
    """Convert a released file into the model directory.

    Parameters
    ----------
    source
        The file as released; it is only read.
    entry
        The network it should be.
    directory
        The model directory, made if need be.
    force
        Replace weights that came from another file. Does not override a digest in the catalogue.

    Raises
    ------
    WeightsError
        Another digest than the catalogue's, another file than the first one, or not this network's weights.
    """
    from xrv_node.models.architectures import settings_of

    digest = file_sha256(source)
    if entry.sha256 not in (None, digest):
        raise WeightsError(
            f"{source.name} is not the released file of {entry.name}: its SHA-256 is {digest}, "
            f"that of the release {entry.sha256}"
        )
    settings = settings_of(entry.network, source)
    before = None if force else installed(entry, directory)
    if before is not None and before.source_sha256 != digest:
        raise WeightsError(
            f"{entry.name} was imported from another file on {before.imported_at[:10]} (SHA-256 "
            f"{before.source_sha256}, this one {digest}): use --force if the new file is the right one"
        )
    directory.mkdir(parents=True, exist_ok=True)
    target = entry.weights_path(directory)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    record = {
        "name": entry.name,
        "source_file": source.name,
        "source_sha256": digest,
        "imported_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "xrv_node": __version__,
        "settings": json.dumps(settings),
    }
    try:
        tensors_sha256 = _convert(source, part, entry, record)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return Installed(path=target, tensors_sha256=tensors_sha256, **record)


def _convert(source: Path, target: Path, entry: Entry, record: dict[str, str]) -> str:
    """Run ``convert`` in a process of its own and return the digest of the tensors."""
    from xrv_node.models.architectures import layout

    settings = json.loads(record["settings"])
    job = {
        "source": str(source.resolve()),
        "target": str(target.resolve()),
        "checkpoint": entry.checkpoint,
        "settings": settings,
        "layout": layout(entry.network, settings),
        "thresholds": entry.operating_points(published=True).thresholds,
        "metadata": record,
    }
    # OpenBLAS reserves address space for every core, which the memory limit would count.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "xrv_node.models.convert"],
            input=json.dumps(job),
            capture_output=True,
            text=True,
            env=environment,
            timeout=CONVERSION_SECONDS,
            check=True,
        )
        answer = json.loads(done.stdout)
    except (subprocess.SubprocessError, ValueError) as error:
        raise WeightsError(
            f"{source.name} could not be converted: it took too much time or memory, or the disk is full"
        ) from error
    if "error" in answer:
        raise WeightsError(f"{source.name} cannot be used as {entry.name}: {answer['error']}")
    return str(answer["tensors_sha256"])


def load(entry: Entry, directory: Path) -> tuple[dict[str, Tensor], Installed]:
    """Read a network's weights.

    Returns
    -------
    tuple
        State dict on the CPU, and the file's header, whose ``tensors_sha256`` was compared with the tensors.

    Raises
    ------
    WeightsError
        Not there, damaged, or changed since the import.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from xrv_node.models.convert import tensors_sha256

    record = installed(entry, directory)
    if record is None:
        raise not_there([entry.name], directory)
    try:
        state = load_file(record.path)
    except (SafetensorError, OSError) as error:
        raise _damaged(entry, record.path) from error
    digest = tensors_sha256({key: value.numpy() for key, value in state.items()})
    if digest != record.tensors_sha256 or record.name != entry.name:
        raise _damaged(entry, record.path)
    return state, record


def _damaged(entry: Entry, path: Path) -> WeightsError:
    return WeightsError(
        f"{path} is damaged or was changed: remove it and run `xrv-node models pull {entry.name}`"
    )


def verify(entry: Entry, directory: Path) -> Installed:
    """Check that a network's weights are whole, are this network's, and came from the released file.

    Raises
    ------
    WeightsError
        As ``load``, or another file than the one whose digest the catalogue has.
    """
    from xrv_node.models.architectures import assemble

    state, record = load(entry, directory)
    assemble(entry, state, record.dimensions)
    if entry.sha256 not in (None, record.source_sha256):
        raise WeightsError(
            f"{entry.weights_path(directory)} is not from the released file of {entry.name}: remove it "
            f"and run `xrv-node models pull {entry.name}`"
        )
    return record
