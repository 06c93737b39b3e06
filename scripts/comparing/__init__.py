"""Parts of ``compare_cells.py``: what is compared, and what is written of it."""
