"""Tests of ``data/sets``."""
