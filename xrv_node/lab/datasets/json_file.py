"""Reading an owner's JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from xrv_node.errors import DatasetError
from xrv_node.lab.datasets.owner_file import foreign


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    DatasetError
        It is damaged.
    """
    try:
        data = path.read_bytes()
        if what := foreign(data):
            raise DatasetError(f"{path} cannot be read as JSON: {what}")
        return json.loads(data)
    except (OSError, ValueError, RecursionError) as error:
        raise DatasetError(f"{path} cannot be read as JSON; get it again") from error


def read_json_lines(path: Path) -> list[Any]:
    """Read a file of a JSON document in each line.

    Raises
    ------
    DatasetError
        It is damaged.
    """
    try:
        with path.open("rb") as file:
            if what := foreign(file.read(1 << 10)):
                raise DatasetError(f"{path} cannot be read as lines of JSON: {what}")
        with path.open(encoding="utf-8-sig") as lines:
            return [json.loads(line) for line in lines if line.strip()]
    except (OSError, ValueError, RecursionError) as error:
        raise DatasetError(f"{path} cannot be read as lines of JSON; get it again") from error
