"""TotalSegmentator's names, as a template calls them."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from xrv_node.phantom.template import ORGANS

WHERE = {
    **{
        f"lung_{lobe}_lobe_{side}": f"lung_{lobe}_{side}"
        for lobe in ("upper", "middle", "lower")
        for side in ("right", "left")
    },
    "heart": "heart",
    "atrial_appendage_left": "heart",
    "aorta": "aorta",
    **dict.fromkeys(
        (
            "superior_vena_cava",
            "inferior_vena_cava",
            "brachiocephalic_trunk",
            "brachiocephalic_vein_left",
            "brachiocephalic_vein_right",
            "subclavian_artery_left",
            "subclavian_artery_right",
            "common_carotid_artery_left",
            "common_carotid_artery_right",
        ),
        "great_vessels",
    ),
    "pulmonary_vein": "pulmonary_vessels",
    "trachea": "trachea",
    "esophagus": "oesophagus",
    "sternum": "sternum",
    "costal_cartilages": "costal_cartilage",
    **{f"clavicula_{side}": f"clavicle_{side}" for side in ("right", "left")},
    **{f"scapula_{side}": f"scapula_{side}" for side in ("right", "left")},
    "liver": "liver",
    "stomach": "stomach",
    "spleen": "spleen",
    **dict.fromkeys(("humerus_right", "humerus_left", "skull"), "other_bone"),
    **dict.fromkeys(("colon", "small_bowel", "duodenum"), "colon_bowel"),
    **dict.fromkeys(("kidney_right", "kidney_left"), "kidneys"),
}

BONES = tuple(
    number
    for name, number in ORGANS.items()
    if name.startswith(("rib_", "clavicle", "scapula")) or name in ("vertebrae", "sternum", "other_bone")
)

LOBES = tuple(
    number for name, number in ORGANS.items() if re.fullmatch(r"lung_(upper|middle|lower)_.*", name)
)


def mapped(labels: NDArray[np.uint8], names: dict[int, str]) -> NDArray[np.uint8]:
    """Number TotalSegmentator's labels as ``ORGANS`` does; what has no place there becomes 0."""
    table = np.zeros(256, np.uint8)
    for number, name in names.items():
        if name in ORGANS:  # ribs are called the same
            table[number] = ORGANS[name]
        elif name.startswith("vertebrae_"):
            table[number] = ORGANS["vertebrae"]
        elif name in WHERE:
            table[number] = ORGANS[WHERE[name]]
    return table[labels]
