"""Readers of file formats, which know no data set."""
