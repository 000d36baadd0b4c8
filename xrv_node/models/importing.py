"""How a released file gets into the model directory: recognised, trusted, converted in another process."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from xrv_node.errors import WeightsError
from xrv_node.models import catalog, model_dir, trained_here
from xrv_node.models.weights import Installed, installed
from xrv_node.product import VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from xrv_node.models.entry import ModelEntry

CONVERSION_SECONDS = 600
"""After which a conversion is given up; the largest file takes a few seconds."""


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(
            f"{path} cannot be read ({error.strerror}): name a weights file that this user may read"
        ) from error


def recognise(source: Path) -> ModelEntry:
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
    raise WeightsError(
        f"{source.name} is not a file of the catalogue: say with --name which network it is, see `xrv-node "
        "models list`; of one that you fine-tuned with torchxrayvision, say with --like from which network, "
        "and with --findings what its outputs are"
    )


def import_file(source: Path, entry: ModelEntry, directory: Path, *, force: bool = False) -> Installed:
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
        Another digest than the catalogue's, another file than the first one, not this network's weights, or a
        directory that cannot be written.
    """
    from xrv_node.models.architectures import settings_of

    digest = file_sha256(source)
    if entry.sha256 not in (None, digest):
        raise WeightsError(
            f"{source.name} is not the released file of {entry.name}: its SHA-256 is {digest}, "
            f"that of the release {entry.sha256}: download it again, or name its own network with --name"
        )
    settings = settings_of(entry.network, source)
    before = None if force else installed(entry, directory)
    if before is not None and before.source_sha256 != digest:
        raise WeightsError(
            f"{entry.name} was imported from another file on {before.imported_at[:10]} (SHA-256 "
            f"{before.source_sha256}, this one {digest}): use --force if the new file is the right one"
        )
    model_dir.make_ready(directory)
    target = entry.weights_path(directory)
    part = target.with_name(f".{target.name}.{uuid4().hex}.part")  # process ids repeat among containers
    record = {
        "name": entry.name,
        "source_file": source.name,
        "source_sha256": digest,
        "imported_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "xrv_node": VERSION,
        "settings": json.dumps(settings),
    }
    try:
        answer = _convert(source, part, f"used as {entry.name}", _job(entry, record))
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return Installed(path=target, **answer, **record)


def _job(entry: ModelEntry, record: dict[str, str]) -> dict[str, Any]:
    """What ``convert`` is told of a network of the catalogue."""
    from xrv_node.models.architectures import layout

    settings = json.loads(record["settings"])
    return {
        "checkpoint": entry.checkpoint,
        "settings": settings,
        "layout": layout(entry.network, settings),
        "thresholds": entry.operating_points(published=True).thresholds,
        "metadata": record,
    }


def _convert(source: Path, target: Path, use: str, told: Mapping[str, Any]) -> dict[str, str]:
    """Run ``convert`` in a process of its own and return what it says of the tensors."""
    job = {"source": str(source.resolve()), "target": str(target.resolve()), **told}
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
        answer: dict[str, str] = json.loads(done.stdout)
    except (subprocess.SubprocessError, ValueError) as error:
        raise WeightsError(
            f"{source.name} could not be converted: it took too much time or memory, or the disk is full"
        ) from error
    if "error" in answer:
        raise WeightsError(f"{source.name} cannot be {use}: {answer['error']}")
    return answer


def everything(source: Path) -> tuple[dict[str, NDArray[Any]], str]:
    """Return all tensors of a file of a network that is not known, and the kinds of numbers that were
    converted (``convert.whatever``). The file is read in a process of its own.

    Raises
    ------
    WeightsError
        It cannot be read.
    """
    from xrv_node.models.safetensors_file import read_tensors

    file_sha256(source)  # which says why a file cannot be read
    with TemporaryDirectory() as folder:
        part = Path(folder) / "tensors.safetensors"
        answer = _convert(source, part, "read", {"layout": None, "metadata": {}})
        return read_tensors(part), answer["source_dtype"]


def write_trained(
    tensors: Mapping[str, NDArray[Any]], known: trained_here.TrainedNetwork, target: Path, **record: str
) -> Installed:
    """Write a network and what it is, whole or not at all.

    Parameters
    ----------
    tensors
        Its whole state dict.
    known
        What it is.
    target
        The file.
    record
        Fields of ``Installed`` that are to be kept from an earlier file.
    """
    from safetensors.numpy import save

    from xrv_node.models.convert import tensors_sha256

    fields = {
        "name": known.name,
        "source_file": "",
        "source_sha256": "",
        "tensors_sha256": tensors_sha256(tensors),
        "imported_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "xrv_node": VERSION,
        "settings": json.dumps(trained_here.dimensions(known)),
        "entry": known.model_dump_json(),
    } | record
    model_dir.write(target, save(dict(tensors), fields))
    return Installed(path=target, **fields)


def import_trained(
    source: Path, known: trained_here.TrainedNetwork, directory: Path, *, force: bool = False
) -> Installed:
    """Check a file that ``train`` wrote and put it into the model directory.

    Parameters
    ----------
    source
        The file; it is only read.
    known
        What ``trained_here.described`` returned for it.
    directory
        The model directory, made if need be.
    force
        Replace another network of the same name.

    Raises
    ------
    WeightsError
        Damaged, not the network that it says, one that was trained on phantoms, another one of that name is
        there, or the directory cannot be written.
    """
    if known.phantom:
        raise WeightsError(
            f"{known.name} was trained on phantoms and answers for them alone: no node takes it; those "
            "for its phantoms are installed with it"
        )
    from xrv_node.models.architectures import layout
    from xrv_node.models.convert import checked, listed
    from xrv_node.models.safetensors_file import read_tensors

    kinds = set[str]()
    dimensions = trained_here.dimensions(known)
    tensors = checked(read_tensors(source), layout(known.network, dimensions), kinds=kinds)
    return keep(source, tensors, known, directory, listed(kinds), force=force)


def keep(
    source: Path,
    tensors: Mapping[str, NDArray[Any]],
    known: trained_here.TrainedNetwork,
    directory: Path,
    kinds: str,
    *,
    force: bool,
) -> Installed:
    """Write a network into the model directory.

    Parameters
    ----------
    source
        The file that it was read from.
    tensors, known
        As for `write_trained`.
    directory
        The model directory, made if need be.
    kinds
        Of numbers that were converted, as ``Installed.source_dtype``.
    force
        Replace another network of the same name.

    Raises
    ------
    WeightsError
        Another network of that name is there, or the directory cannot be written.
    """
    made, digest = trained_here.entry(known), file_sha256(source)
    before = None if force else installed(made, directory)
    if before is not None and before.source_sha256 != digest:
        raise WeightsError(
            f"another network {made.name} was imported on {before.imported_at[:10]}: use --force to replace "
            "it, or give this one another name"
        )
    model_dir.make_ready(directory)
    converted = {"source_dtype": kinds} if kinds else {}
    target = made.weights_path(directory)
    return write_trained(tensors, known, target, source_file=source.name, source_sha256=digest, **converted)
