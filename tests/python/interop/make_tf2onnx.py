"""Writes what tf2onnx makes of Keras 2's models: `data/tf2onnx.zip`, `tf2onnx.npz`.

Made with tf2onnx 1.17.0, tf_keras 2.21.0 on TensorFlow 2.21.0, onnxruntime 1.32.0, Python 3.11::

    pip install tensorflow tf-keras tf2onnx onnxruntime
    python tests/python/interop/make_tf2onnx.py
"""

from __future__ import annotations

import os
import sys

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import onnx
import onnxruntime
import tensorflow as tf
import tf2onnx
import tf_keras as k

from keras_models import MODELS, inputs_of, predicted, randomize
from onnx_running import computed, names_of
from recording import Recorder

NAMES = ("lstm", "gru", "simple_rnn", "bidirectional", "wrappers", "two_inputs", "options")


def main() -> None:
    record = Recorder(
        "tf2onnx",
        tf2onnx=tf2onnx.__version__,
        onnx=onnx.__version__,
        onnxruntime=onnxruntime.__version__,
        tensorflow=tf.__version__,
    )
    for name in NAMES:
        k.backend.clear_session()
        model = MODELS[name](k)
        randomize(model, name)
        inputs = inputs_of(model, name)
        made, _ = tf2onnx.convert.from_keras(model, opset=15)
        file = f"tf2onnx/{name}.onnx"
        data = made.SerializeToString()
        record.path(file).write_bytes(data)
        given, outputs = names_of(made)
        kinds = {each.name: each.type.tensor_type.elem_type for each in made.graph.input}
        inputs = [  # ids are floats there
            each.astype(onnx.helper.tensor_dtype_to_np_dtype(kinds[name]))
            for name, each in zip(given, inputs, strict=True)
        ]
        found = computed(data, dict(zip(given, inputs, strict=True)))
        apart = max(
            float(abs(one - two).max())
            for one, two in zip(found, predicted(model, inputs), strict=True)
        )
        operators = sorted({node.op_type for node in made.graph.node})
        about = {"inputs": given, "outputs": outputs, "difference_to_keras": apart}
        print(name, f"{apart:.1e}", operators, file=sys.stderr)
        record.add(name, file, inputs, found, {**about, "operators": operators})
    record.write()
    record.pack()


if __name__ == "__main__":
    main()
