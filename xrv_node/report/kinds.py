"""The kinds of result that a destination can ask for, and the SOP class of each (PS3.4 B.5)."""

SOP_CLASSES: dict[str, str] = {
    "report": "1.2.840.10008.5.1.4.1.1.88.22",  # Enhanced SR
    "sr": "1.2.840.10008.5.1.4.1.1.88.34",  # Comprehensive 3D SR
    "seg": "1.2.840.10008.5.1.4.1.1.66.4",  # Segmentation
}
