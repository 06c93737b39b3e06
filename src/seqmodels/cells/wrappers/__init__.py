"""Wrappers that regularise any cell or learn its initial state; ``seqmodels.cells`` exports their public names."""
