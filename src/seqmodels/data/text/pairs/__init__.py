"""Pairs of texts, for models that turn one sequence into another."""
