"""Who may come over HTTP, and as what: people, programs, and what each may do."""
