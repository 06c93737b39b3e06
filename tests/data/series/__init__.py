"""Tests of ``data/series``."""
