"""The folder of an export: what is in it is whole, belongs to one plan and is never overwritten."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xrv_node import durable
from xrv_node.errors import ConfigError

ABOUT, TABLE = "export.json", "images.csv"


@dataclass(frozen=True, slots=True)
class Folder:
    """Where an export goes."""

    root: Path

    def image(self, study: str, instance: str) -> Path:
        """The place of an image; UIDs as they are in the export."""
        return self.root / "images" / study / f"{instance}.dcm"

    def result(self, study: str, kind: str, instance: str) -> Path:
        """The place of a result."""
        return self.root / "results" / study / f"{kind}-{instance}.dcm"

    def begin(self, plan: str, about: Mapping[str, Any]) -> None:
        """Take an empty folder, or the one where the same export was stopped.

        Parameters
        ----------
        plan
            By what the export is known again.
        about
            What a reader of the folder is told.

        Raises
        ------
        ConfigError
            Something else is in it, or it is no folder.
        """
        written = self.root / ABOUT
        try:
            if written.exists():
                if json.loads(written.read_text(encoding="utf-8")).get("plan") != plan:
                    raise ConfigError(
                        f"{self.root}: holds an export of another node or with other options; name another "
                        "folder"
                    )
                for draft in self.root.rglob(".*.part"):
                    draft.unlink()
                return
            if self.root.exists() and any(self.root.iterdir()):
                raise ConfigError(f"{self.root}: is not empty, and nothing is overwritten; name a new folder")
        except (OSError, ValueError) as error:
            raise ConfigError(f"{self.root}: is no folder to export to; name another") from error
        self.tell({"plan": plan, **about})

    def tell(self, about: Mapping[str, Any]) -> None:
        """Write what the folder is."""
        durable.write(self.root / ABOUT, [json.dumps(about, indent=2).encode() + b"\n"])

    def draft(self, target: Path, data: bytes) -> Path:
        """Write what is to stand in a place, without its name yet."""
        made = durable.draft(target.parent, [data])
        made.chmod(0o600)
        return made

    def keep(self, draft: Path, target: Path) -> None:
        """Give it its name."""
        durable.keep(draft, target)

    def named(self, path: Path) -> str:
        """A place as the table has it."""
        return path.relative_to(self.root).as_posix()


@contextmanager
def private() -> Iterator[None]:
    """See that whatever is made meanwhile is this user's alone: patient data, or what was."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)
