"""From a traced graph to programs.

* ``step.py``: the whole of it, from :class:`~seqmodels.fusion.tracing.graph.Graph` to :class:`Step`: what is computed
  once per sequence, the programs, and the epilogue;
* ``lower.py``: node by node to rows of values; ``operators.py`` lists the ATen operators, ``rows.py`` says what a row
  is; ``lower_moves.py`` (with ``moves.py``), ``lower_products.py`` and ``reductions.py`` lower the operators that are
  not pointwise;
* ``adjoint.py``: the backward program, and what the forward program keeps for it;
* ``epilogue.py``: from sums over all steps to the gradients of parameters.
"""
