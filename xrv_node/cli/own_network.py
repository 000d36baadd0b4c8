"""A network of a user's own on the command line: what its outputs are, their operating points and codes."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from xrv_node.cli.console import tell
from xrv_node.errors import ConfigError
from xrv_node.models import catalog
from xrv_node.report import codes

if TYPE_CHECKING:
    from xrv_node.models.entry import ModelEntry
    from xrv_node.models.weights import Installed


def import_own(
    file: Path,
    like: str | None,
    findings: str | None,
    thresholds: str | None,
    place: Path,
    name: str | None,
    *,
    force: bool,
) -> tuple[ModelEntry, Installed]:
    """Import a network that was fine-tuned elsewhere, and say what was found in its file."""
    from xrv_node.models import fine_tuned

    if not like or not findings:
        raise ConfigError(
            "a network of your own needs both: --like with the network that it was fine-tuned from, and "
            "--findings with what its outputs are"
        )
    named = tuple(one.strip() for one in findings.split(","))
    points = None if thresholds is None else points_of(thresholds, named)
    record, remarks = fine_tuned.import_fine_tuned(
        file, catalog.find(like, "classifier", place), named, place, name=name, thresholds=points, force=force
    )
    for remark in remarks:
        tell(f"note: {remark}")
    entry, known = catalog.find(record.name, "classifier", place), codes.findings()
    for label in (label for label, _ in entry.trained_heads if label not in known):
        meant = next((one for one in known if one.casefold() == label.casefold()), None)
        hint = f"; {meant!r} has one" if meant else ""
        tell(
            f"note: {label!r} has no row in dicom_config/findings.toml, and so no code: `serve` asks for "
            f"one, all other commands do without{hint}"
        )
    return entry, record


def points_of(given: str, findings: tuple[str, ...]) -> list[float | None]:
    """Read an operating point, or None, for each finding: of the command line, or of a TOML file."""
    if (file := Path(given)).is_file():
        try:
            table = tomllib.loads(file.read_text(encoding="utf-8"))["models"]["thresholds"]
            found = {label: float(value) for label, value in table.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f"{file} has no table [models.thresholds] of numbers: name another") from error
        if others := found.keys() - set(findings):
            raise ConfigError(
                f"{file} has operating points of {', '.join(sorted(others))}: name them with --findings too"
            )
        return [found.get(label) for label in findings]
    try:
        points = [float(cell) if cell.strip() else None for cell in given.split(",")]
    except ValueError as error:
        raise ConfigError(
            f"--thresholds {given[:80]!r} is neither a file that is there nor numbers with commas between"
        ) from error
    if len(points) != len(findings):
        raise ConfigError(
            f"{len(points)} thresholds and {len(findings)} findings: give one for each, in order"
        )
    return points
