"""Handling of a closed standard output."""

import os
import sys


def discard_output() -> None:
    """Redirect standard output to the null device after its reader has closed the pipe, as ``| head`` does."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
