"""Coverage-guided fuzzing of one entry: ``python tests/fuzz/fuzz_run.py association -max_total_time=20``.

Options are libFuzzer's. What it finds new it keeps in ``--keep DIRECTORY``, else nowhere; an input that breaks
something it writes to ``-artifact_prefix``.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))

WATCHED = (
    "xrv_node.receive",
    "xrv_node.network",
    "xrv_node.frontal",
    "xrv_node.radiograph",
    "xrv_node.attributes",
    "xrv_node.web.dicomweb",
)
"""Whose branches count as coverage, beside the parsers of the libraries."""
PARSERS = (
    *("pydicom.filereader", "pydicom.values", "pydicom.charset", "pydicom.encaps", "pydicom.sequence"),
    "pynetdicom.presentation",
    "python_multipart.multipart",
)
LIMITS = ("-timeout=10", "-rss_limit_mb=2048", "-max_len=8192")
"""Seconds an input may take, and megabytes that all of them together may come to hold."""


def main() -> None:
    """Run until libFuzzer's limit is reached, or something is found."""
    name, *options = sys.argv[1:]
    kept = [options.pop(at + 1) for at in range(len(options) - 1) if options[at] == "--keep"]
    options = [option for option in options if option != "--keep"]
    with atheris.instrument_imports(include=[*WATCHED, *PARSERS], enable_loader_override=False):
        from fuzz_node import tell_faults
        from fuzz_seeds import CORPUS, entry

        memory = Path("/dev/shm")
        directory = Path(tempfile.mkdtemp(prefix="fuzz", dir=memory if memory.is_dir() else None))
        run = entry(name, directory)
    tell_faults()
    folders = [*kept, str(CORPUS / name)] if kept else [tempfile.mkdtemp(prefix="found"), str(CORPUS / name)]
    atheris.Setup([sys.argv[0], *LIMITS, *options, *folders], run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
