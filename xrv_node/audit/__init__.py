"""The record: tables, transactions, and the trail that cannot be changed unseen."""
