"""Drift: whether the images of these days are still like those that the models were validated on."""
