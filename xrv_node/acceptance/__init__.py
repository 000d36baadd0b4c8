"""A node tried with images of which the truth is known, from end to end, and the protocol of it.

Local acceptance testing before an imaging AI is used, and again after each change, is what the ACR-SIIM
Practice Parameter for Imaging Artificial Intelligence (2026) asks of a site; acceptance and constancy are how
medical physics has long done it with the devices that make images.
"""
