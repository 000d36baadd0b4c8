"""Whether an image is a frontal chest radiograph, decided from its header, with reasons.

The way of one header: ``gates`` (what rules an image out), ``evidence`` (what speaks for a body part and a
view), ``decision`` (what follows). Every rule and every word is data, in ``dicom_config/frontal.toml``.
"""

from xrv_node.frontal.decision import attributes, decide
from xrv_node.frontal.gates import ADULT_YEARS, says_quality_control
from xrv_node.frontal.rules import Rules, load_rules

__all__ = ["ADULT_YEARS", "Rules", "attributes", "decide", "load_rules", "says_quality_control"]
