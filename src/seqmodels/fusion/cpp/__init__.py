"""The C++ executor: programs as kernels for the CPU, compiled on first use and cached.

* ``executor.py``: :class:`~seqmodels.fusion.cpp.executor.Cpp`, which calls kernels;
* ``schedule.py``: from values to passes over a row's columns;
* ``emit.py``: from passes to C++; ``tiles.py`` writes the products, ``driver.py`` the loop over time and the threads;
* ``runtime.h``, ``elementary.h``, ``outer.h``: what the generated code includes;
* ``build.py``: builds and loads kernels; ``compiler.py`` runs the compiler.
"""
