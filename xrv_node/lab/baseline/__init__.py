"""What a validation leaves for the monitor: images as the networks saw them, and what their headers say."""
