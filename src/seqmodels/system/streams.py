"""Standard output whose reader has gone."""

import os
import sys


def discard_output() -> None:
    """Let standard output go nowhere: its reader has gone, as after ``| head``."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
