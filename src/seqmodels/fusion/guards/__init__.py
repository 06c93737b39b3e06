"""What a cell's step can read, and whether it is still the same.

* ``inspection.py``: :func:`inspect` a cell; the :class:`Guard` that this makes compares other cells with it;
* ``walk.py``: the walk over everything that a step can read;
* ``reachable.py``: what an object holds; ``user_code.py``: what code reads, and whose code it is;
* ``guard_text.py``: the source of a guard.
"""

from seqmodels.fusion.guards.inspection import Guard, Inspection, copied, inspect

__all__ = ["Guard", "Inspection", "copied", "inspect"]
