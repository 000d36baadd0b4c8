"""xrv-node: a DICOM node around the TorchXRayVision models. Research software, not a medical device."""

__version__ = "0.1.0"
