"""Runs of commands whose results are published, and the tables of them."""
