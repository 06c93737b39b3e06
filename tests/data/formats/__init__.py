"""Tests of ``data/formats``."""
