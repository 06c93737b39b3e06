"""From a cell's ``step`` to a graph of ATen operators, forward and backward.

* ``trace.py``: runs the step, and autograd on its results, on a copy of the cell with tensors that have no memory;
* ``graph.py``: the traced graph, and the checks that it holds for any batch;
* ``decompositions.py``: composite operators as those that can be lowered;
* ``form.py``: what of its inputs a trace depends on;
* ``lines.py``: which line of the user's code an operator comes from, for messages;
* ``projection.py``: whether a cell's ``project`` is one linear map;
* ``isolation.py``: runs a cell's code in a thread of its own.
"""
