"""Validation: how well a model set does on images whose findings are known."""
