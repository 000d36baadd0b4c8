"""What a site edits or a reviewer reads: configuration, vocabularies and code tables, all of it data."""
