"""Fused kernels derived from a cell's ``step``; ``docs/fusion.md`` follows a GRU all the way.

From the cell to a result, in order:

* ``plan.py``: which programs belong to a cell, derived when they are needed and kept; ``guards/`` tells whether a cell
  is still what they were derived from;
* ``tracing/``: from ``step`` to a graph of ATen operators, forward and backward, under autograd;
* ``lowering/``: from the graph to programs;
* ``program.py``: what a program is; ``ops.py``, ``values.py`` and ``builder.py``: the values it is made of;
* ``validate.py``: programs are compared with the step before they are used;
* ``function.py``: one node of autograd's graph that runs a forward and a backward program over a whole sequence;
* ``operators.py``: the same as an operator of torch's, for graphs, which takes a step as text (``written.py``);
* ``executor.py``: the interface of what runs programs: ``portable/`` with torch operators anywhere, ``cpp/`` as
  compiled C++ on CPUs; ``choice.py`` tells which;
* ``input_projection.py``, ``matmul.py`` and ``layout.py``: the products outside the loop over time.
"""
