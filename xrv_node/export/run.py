"""One export, study by study: drafts, the event of the trail, then the names."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread

from xrv_node import durable, intact
from xrv_node.db import trail
from xrv_node.db.store import Store
from xrv_node.errors import ConfigError, XrvNodeError
from xrv_node.export import left_out, selection, table
from xrv_node.export.confidentiality import Options, methods, profile
from xrv_node.export.deidentify import deidentify
from xrv_node.export.folder import TABLE, Folder, private
from xrv_node.export.left_out import StaysError
from xrv_node.export.names import Names
from xrv_node.export.selection import Image, Result, Selection
from xrv_node.product import VERSION
from xrv_node.report import codes
from xrv_node.spool import Spool


@dataclass(frozen=True, slots=True)
class Plan:
    """What is exported and how."""

    out: Path
    chosen: Selection
    options: Options | None
    """None: nothing is de-identified."""
    keep_unknown: bool = False
    """See `left_out.image`."""
    said: tuple[str, ...] = ()
    """The words of the command, by which it is known again."""


@dataclass(slots=True)
class Exported:
    """What is in the folder now, and what is not."""

    studies: int = 0
    images: int = 0
    results: int = 0
    left_out: dict[str, list[str]] = field(default_factory=dict)
    """By key of `left_out.WHY`, the SOP Instance UIDs as they are in the node."""


def export(
    store: Store, spool: Spool, plan: Plan, watched: Callable[[list[str]], Iterable[str]] = iter
) -> Exported:
    """Write what is chosen to a folder; what is there of the same export stays.

    Parameters
    ----------
    watched
        Hands the Study Instance UIDs on while somebody looks at how many are done.

    Raises
    ------
    ConfigError
        The folder is not one for this export.
    XrvNodeError
        It cannot be written.
    """
    out = plan.out.absolute()
    if out.is_relative_to(spool.root.absolute()):
        raise ConfigError(f"{plan.out}: is in the node's own data directory; name another folder")
    work = _Work(store, spool, Names(spool.root), Folder(out), plan)
    with store.read() as db:
        chosen = selection.studies(db, plan.chosen)
    try:
        with private():
            work.folder.begin(work.names.plan(*plan.said), _about(plan))
            for study in watched(chosen):
                work.study(study)
            durable.write(out / TABLE, [table.written(work.rows, list(codes.findings()))])
    except OSError as error:
        raise XrvNodeError(
            f"{plan.out}: cannot be written ({error.strerror}); what is there is whole, and the same command "
            "goes on"
        ) from error
    return work.done


@dataclass(slots=True)
class _Work:
    store: Store
    spool: Spool
    names: Names
    folder: Folder
    plan: Plan
    done: Exported = field(default_factory=Exported)
    rows: list[table.Row] = field(default_factory=list)

    def study(self, study: str) -> None:
        """Write a study's images, and the results that are about none but them."""
        with self.store.read() as db:
            images = selection.images(db, study, self.plan.chosen)
            made = selection.results(db, study) if images else []
        placed: dict[str, tuple[Path, Image]] = {}
        results: dict[Path, set[str]] = {}
        drafts: dict[Path, Path] = {}
        try:
            for image in images:
                with self._left_out(image.uid):
                    placed[image.uid] = self._image(study, image, drafts), image
            named = set(placed)
            for result in made if placed else ():
                with self._left_out(result.uid):
                    target, about = self._result(study, result, named, drafts)
                    results[target] = about
                    named.add(result.uid)
            if drafts:
                self._record(study, drafts)
            for target, draft in drafts.items():
                self.folder.keep(draft, target)
        finally:
            for draft in drafts.values():
                draft.unlink(missing_ok=True)
        self.done.studies += bool(placed)
        self.done.images += len(placed)
        self.done.results += len(results)
        for uid, (path, image) in placed.items():
            files = tuple(self.folder.named(target) for target, about in results.items() if uid in about)
            self.rows.append(table.Row(self.folder.named(path), path, image, files))

    def _record(self, study: str, drafts: Iterable[Path]) -> None:
        """Before the files have their names: nothing leaves the node without a record."""
        images = sum(path.is_relative_to(self.folder.root / "images") for path in drafts)
        with self.store.begin() as db:
            trail.record(
                db,
                "study.exported",
                study=study,
                images=images,
                results=len(list(drafts)) - images,
                deidentified=self.plan.options is not None,
                methods=[c.value for c in methods(self.plan.options)] if self.plan.options else [],
            )

    def _image(self, study: str, image: Image, drafts: dict[Path, Path]) -> Path:
        target = self.folder.image(self._uid(study), self._uid(image.uid))
        if target.exists():
            return target
        path = self._intact(image, lambda p: intact.is_input(p, image.sha256, image.transfer_syntax))
        if self.plan.options is None:
            data = path.read_bytes()
        else:
            dataset = _read(path)
            if why := left_out.image(dataset, keep_unknown=self.plan.keep_unknown):
                raise StaysError(why)
            data = self._deidentified(dataset, self.plan.options)
        drafts[target] = self.folder.draft(target, data)
        return target

    def _result(
        self, study: str, result: Result, named: set[str], drafts: dict[Path, Path]
    ) -> tuple[Path, set[str]]:
        """The place of a result, and what it is about."""
        if self.plan.options is not None and result.kind in profile().kinds_left_out:
            raise StaysError("draws")
        path = self._intact(result, lambda p: intact.is_result(p, result.sha256))
        dataset = _read(path)
        about = left_out.references(dataset, profile().removed)
        if not about <= named:
            raise StaysError("refers")
        target = self.folder.result(self._uid(study), result.kind, self._uid(result.uid))
        if not target.exists():
            options = self.plan.options
            data = self._deidentified(dataset, options, own=True) if options else path.read_bytes()
            drafts[target] = self.folder.draft(target, data)
        return target, about

    @contextmanager
    def _left_out(self, uid: str) -> Iterator[None]:
        """Note why an object stays."""
        try:
            yield
        except StaysError as error:
            self.done.left_out.setdefault(error.why, []).append(uid)

    def _intact(self, one: Image | Result, is_intact: Callable[[Path], bool]) -> Path:
        path = self.spool.absolute(one.path)
        if one.purged or not path.is_file():
            raise StaysError("gone")
        try:
            if not is_intact(path):
                raise StaysError("changed")
        except OSError as error:
            raise StaysError("unreadable") from error
        return path

    def _uid(self, uid: str) -> str:
        return uid if self.plan.options is None else self.names.uid(uid)

    def _deidentified(self, dataset: Dataset, options: Options, *, own: bool = False) -> bytes:
        buffer = io.BytesIO()
        try:
            deidentify(dataset, self.names, options, own=own)
            dataset.save_as(buffer, enforce_file_format=True)
        except (
            Exception
        ) as error:  # of what strangers sent: pydicom's have no class in common, and quote values
            raise StaysError("unreadable") from error
        return buffer.getvalue()


def _read(path: Path) -> Dataset:
    try:
        return dcmread(path)
    except Exception as error:  # the same
        raise StaysError("unreadable") from error


def _about(plan: Plan) -> dict[str, Any]:
    if plan.options is None:
        return {"by": f"xrv-node {VERSION}", "deidentified": False}
    return {
        "by": f"xrv-node {VERSION}",
        "deidentified": True,
        "profile": f"PS3.15 {profile().edition} annex E",
        "methods": {code.value: code.meaning for code in methods(plan.options)},
    }
