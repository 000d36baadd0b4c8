"""One module a dataset, named after its entry in the catalogue.

Each has ``read(folder, options)``, which reads the owner's files into frame, labels and regions and leaves
the rest to ``rows.built``; and, where those are tables, ``TABLES``: what their columns may hold, by file.
"""
