"""What came and what was made of it, written to a folder for research: de-identified, or as it is."""
