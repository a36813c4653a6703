"""ONNX graphs: reading, running, streaming and writing."""
