"""The archive that earlier studies are asked for."""

from __future__ import annotations

from xrv_node.doctor.diagnosis import Examined, Found, State
from xrv_node.errors import ConfigError, DestinationError
from xrv_node.settings.priors import LocalPriors


def priors(node: Examined) -> Found:
    """Whether the archive answers what a report asks; it is asked about a patient that nobody is."""
    section = node.settings.priors
    if isinstance(section, LocalPriors):
        yield State.OK, "no archive is asked ([priors] kind); earlier studies are those of the spool", ""
        return
    from xrv_node.priors import archive

    try:
        archive.check(section, node.settings.receive.ae_title)
    except (DestinationError, ConfigError) as error:
        remedy = (
            "correct [priors], or let the archive take this node's questions; reports do without until then"
        )
        yield State.FAIL, str(error), remedy
    else:
        yield State.OK, "the archive answers the questions of a report", ""
