"""Studies on request: what an archive is asked for, and how it comes."""
