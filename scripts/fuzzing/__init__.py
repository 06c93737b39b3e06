"""Parts of ``fuzz_readers.py``: what is read, how inputs are made, and how an outcome is judged."""
