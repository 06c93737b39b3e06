"""Metrics of tasks, each with one cheap update per batch."""
