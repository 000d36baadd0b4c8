"""What a node has done in a span of time, counted from its record: no patient is named in it."""
