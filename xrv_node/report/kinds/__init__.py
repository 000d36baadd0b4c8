"""A builder for each row of `result_kinds`: the module of its name (``_`` for ``-``), which has ``build``."""
