"""xrv-node: a DICOM node around the TorchXRayVision models. Research software, not a medical device."""

__version__ = "0.1.0"

IMPLEMENTATION_CLASS_UID = "2.25.96116369569352597390691838276327498482"
"""Names this implementation to peers and in files (PS3.7 D.3.3.2); from a UUID (PS3.5 B.2)."""
IMPLEMENTATION_VERSION_NAME = f"XRVNODE {__version__}"
