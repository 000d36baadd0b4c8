"""DICOMweb (PS3.18): studies in and out."""
