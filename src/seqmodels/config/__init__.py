"""Configurations: composing, checking, building objects, the allow-list, error messages."""
