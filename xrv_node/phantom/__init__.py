"""Radiographs of nobody, with known truth, for demonstrations, measurements and acceptance."""
