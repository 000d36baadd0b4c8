"""What QIDO-RS and the pages search, and WADO-RS looks up: studies, series and objects with their headers.

It holds patient data, which the audit database does not, and nothing that cannot be made anew.
"""
