"""From scores and labels to figures: areas, rates, curves, thresholds, subgroups, each with its interval."""
