"""Synthetic chest radiographs: computed from simple shapes, of nobody, for demonstrations and tests.

``anatomy`` holds the shapes, ``rays`` sends X-rays through them, ``exposure`` turns attenuation into pixels
and ``objects`` wraps pixels into DICOM. No part of any real image is in them.
"""

from xrv_node.phantom.exposure import FEATURES, VIEWS, radiograph
from xrv_node.phantom.objects import Patient, dicom, header, samples

__all__ = ["FEATURES", "VIEWS", "Patient", "dicom", "header", "radiograph", "samples"]
