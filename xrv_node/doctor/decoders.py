"""The decoders: whether they give the values that are recorded."""

from __future__ import annotations

from xrv_node.doctor.diagnosis import Examined, Found, State


def decoders(_node: Examined) -> Found:
    """Whether each compressed transfer syntax is decoded to the values of its samples."""
    from xrv_node.radiograph import decoder_check
    from xrv_node.radiograph.decoders import is_installed, name
    from xrv_node.radiograph.syntaxes import PROCESSES

    if not is_installed():
        yield State.WARN, "no decoder is installed: compressed images are not analysed", f"install {name()}"
        return
    wrong = decoder_check.wrong()
    for syntax in wrong:
        what, _, remedy = str(decoder_check.fault(syntax)).partition(": ")
        yield State.FAIL, what, remedy.removesuffix(".")
    if not wrong:
        yield State.OK, f"{name()} decodes {len(PROCESSES)} transfer syntaxes as recorded", ""
