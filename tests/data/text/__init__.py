"""Tests of ``data/text``."""
