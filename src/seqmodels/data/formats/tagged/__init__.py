"""Readers of sentences with a tag for each token: CoNLL-U and columns."""
