"""ONNX Runtime on one thread: for models this small its others do nothing but wait, and spin."""

import pytest


def session_of(content):
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
