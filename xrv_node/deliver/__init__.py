"""The outbox: each result to each destination, until the peer has it."""
