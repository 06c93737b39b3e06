"""The portable executor: programs as loops of torch operators, on any device and dtype, without a compiler.

* ``executor.py``: :class:`~seqmodels.fusion.portable.executor.Portable`, and how it runs a chunk of time;
* ``bulk.py``: what is computed for many steps at once, before the loop;
* ``loop_plan.py``: which values those are, and which the loop computes; ``rewriting.py`` shrinks the loop first;
* ``buffers.py``: where results are written;
* ``loop_nodes.py``: which values one operator of the loop computes together;
* ``loop_writer.py``: the loop as generated Python source.
"""
