"""What a cell's step can read, and whether it is still the same."""

from seqmodels.fusion.guards.inspection import Guard, Inspection, inspect

__all__ = ["Guard", "Inspection", "inspect"]
