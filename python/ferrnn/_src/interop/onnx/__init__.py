"""Graphs of ONNX: read, run, streamed and written."""
