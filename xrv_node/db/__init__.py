"""The database: tables, transactions, the trail, the queue, and what follows from what."""
