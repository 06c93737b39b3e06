"""Metrics and pictures of written texts."""
