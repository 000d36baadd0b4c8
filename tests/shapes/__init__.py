"""Ordinary radiographs of nobody, computed from simple shapes: a modality's objects without any mark.

``anatomy`` holds the shapes, ``rays`` sends X-rays through them, ``exposure`` turns attenuation into pixels
and ``objects`` wraps pixels into DICOM. No part of any real image is in them. The phantoms of the product
(``xrv_node.phantom``) say in header and pixels that they are phantoms; these are for tests of everything else.
"""

from shapes.exposure import FEATURES, VIEWS, radiograph
from shapes.objects import Patient, dicom, header, samples

__all__ = ["FEATURES", "VIEWS", "Patient", "dicom", "header", "radiograph", "samples"]
