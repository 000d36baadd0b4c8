"""Commands of the command line in the process of the test: a tenth of what a process of their own costs."""

from __future__ import annotations

import sys
from io import StringIO
from pathlib import Path

import pytest

import xrv_node.cli


def told(*arguments: str | Path, codes: tuple[int, ...] = (0,)) -> str:
    """What a command writes, run in this process."""
    out, err, argv = StringIO(), StringIO(), sys.argv
    sys.argv, sys.stdout, sys.stderr = ["xrv-node", *map(str, arguments)], out, err
    try:
        with pytest.raises(SystemExit) as ended:
            xrv_node.cli.main()
    finally:
        sys.argv, sys.stdout, sys.stderr = argv, sys.__stdout__, sys.__stderr__
    assert (ended.value.code or 0) in codes, err.getvalue()
    return out.getvalue() + err.getvalue()
