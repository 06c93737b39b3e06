"""The commands ``sweep`` and ``sweep-report``."""
