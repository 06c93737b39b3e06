"""Models as one C99 file and a header, generated from the programs that their cells are traced to."""

from seqmodels.exporting.c.export import export_c

__all__ = ["export_c"]
