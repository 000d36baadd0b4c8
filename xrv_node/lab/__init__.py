"""The researcher's floor: datasets, validation, training, monitoring. The node never imports it."""
