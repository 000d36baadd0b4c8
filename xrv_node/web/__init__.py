"""What the node says of itself over HTTP: whether it lives, whether it is ready, and its numbers."""
