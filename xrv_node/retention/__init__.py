"""What is removed when its time is over, and that nothing else is."""
