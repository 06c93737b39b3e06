"""``python -m seqmodels`` is the command ``seqmodels``."""

from seqmodels.cli import main

main()
