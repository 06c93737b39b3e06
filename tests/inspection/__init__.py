"""Tests of what looks inside models."""
