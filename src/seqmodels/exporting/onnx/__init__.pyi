"""The public names of the package and where they are defined; ``__init__.py`` imports each when it is first used."""

from seqmodels.exporting.onnx.export import export_onnx as export_onnx

__all__: list[str]
