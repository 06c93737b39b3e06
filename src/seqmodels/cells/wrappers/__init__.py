"""Wrappers that regularise any cell, or learn its initial state; their public names are those of ``seqmodels.cells``."""
