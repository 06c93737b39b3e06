"""Sentences with a tag for each token, from raw data to batches."""
