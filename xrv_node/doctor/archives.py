"""The archives that studies are fetched from."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from xrv_node.doctor.diagnosis import Examined, Found, State
from xrv_node.errors import ConfigError, DestinationError


def archives(node: Examined) -> Found:
    """Whether each answers what a fetch asks; that of ``[priors]`` is looked at as such."""
    from xrv_node.fetch import connect

    settings = node.settings
    if not settings.archives:
        yield State.OK, "none is configured ([[archives]]): nothing is fetched on request", ""
    for section in settings.archives:
        try:
            with TemporaryDirectory() as drafts:
                connect.check(section, settings, Path(drafts))
        except (DestinationError, ConfigError) as error:
            remedy = f"`xrv-node archives check {section.name}` tries it again"
            yield State.FAIL, f"{section.name}: {'; '.join(error.lines)}", remedy
        else:
            yield State.OK, f"{section.name} answers what a fetch asks", ""
