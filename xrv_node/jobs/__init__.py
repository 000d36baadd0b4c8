"""The queue: durable jobs of three kinds, and what follows from each."""
