"""The parts of ``scripts/benchmark_unroll.py``."""
