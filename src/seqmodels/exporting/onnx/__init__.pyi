from seqmodels.exporting.onnx.export import export_onnx as export_onnx
