"""Forward results against ONNX Runtime, in float32: lengths, both directions, initial states."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import ferrnn
from each_case import each_case

# What their own code says about coming releases of Python and protobuf is not about ours.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    onnx = pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")

Array = NDArray[Any]
# Where ONNX has its gates, counted in Keras' order (i, f, c, o and z, r, h).
ORDER = {"LSTM": [0, 3, 1, 2], "GRU": [0, 1, 2], "SimpleRNN": [0]}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "lstm": ("LSTM", {}),
    "gru": ("GRU", {"reset_after": True}),
    "gru_before": ("GRU", {"reset_after": False}),
    "simple_rnn": ("SimpleRNN", {}),
}
# batch, time, features, units
SIZES = [(1, 1, 1, 1), (3, 7, 5, 17), (2, 9, 33, 16), (33, 5, 8, 100)]


def _rows(columns: Array, kind: str) -> Array:
    """`[n, gates * units]` in Keras' order to ONNX's `[gates * units, n]`."""
    blocks = np.split(columns, len(ORDER[kind]), axis=-1)
    return np.concatenate([blocks[gate] for gate in ORDER[kind]], axis=-1).T


def _session(kind: str, layer: Any) -> Any:
    """One node, in the direction of the layer: X `[time, batch, features]`, lengths, states."""
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    kernel, recurrent, bias = (w.astype(np.float32) for w in layer.get_weights())
    two = bias if bias.ndim == 2 else np.stack([bias, np.zeros_like(bias)])
    both = np.concatenate([_rows(row[None], kind)[:, 0] for row in two])
    names = ["h", "c"][: len(layer.state_size)]
    options = {"linear_before_reset": int(layer.reset_after)} if kind == "GRU" else {}
    node = helper.make_node(
        "RNN" if kind == "SimpleRNN" else kind,
        ["X", "W", "R", "B", "lengths", *names],
        ["Y", *(f"{name}_out" for name in names)],
        hidden_size=layer.units,
        direction="reverse" if layer.go_backwards else "forward",
        **options,
    )
    real, whole = onnx.TensorProto.FLOAT, onnx.TensorProto.INT32
    values = [helper.make_tensor_value_info(name, real, [None] * 3) for name in ("X", *names)]
    lengths = helper.make_tensor_value_info("lengths", whole, [None])
    results = [helper.make_tensor_value_info("Y", real, [None] * 4)]
    results += [helper.make_tensor_value_info(f"{name}_out", real, [None] * 3) for name in names]
    weights = {"W": _rows(kernel, kind)[None], "R": _rows(recurrent, kind)[None], "B": both[None]}
    constants = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph([node], "one", [*values, lengths], results, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


@each_case("padded", [False, True])
@each_case("backwards", [False, True])
@each_case("sizes", SIZES)
@each_case("name", KINDS)
def test_outputs_and_states_are_those_of_onnx_runtime(
    name: str, sizes: tuple[int, int, int, int], backwards: bool, padded: bool
) -> None:
    kind, options = KINDS[name]
    batch, time, features, units = sizes
    rng = np.random.default_rng(batch + units)
    layer = getattr(ferrnn.layers, kind)(
        units, return_sequences=True, return_state=True, go_backwards=backwards, **options
    )
    layer.build((None, None, features))
    layer.set_weights(
        [rng.normal(size=w.shape) / np.sqrt(len(w) if w.ndim == 2 else 1) for w in layer.weights]
    )
    inputs = rng.normal(size=(batch, time, features)).astype(np.float32)
    states = [rng.normal(size=(batch, units)).astype(np.float32) for _ in layer.state_size]
    lengths = rng.integers(1, time + 1, size=batch) if padded else np.full(batch, time)
    mask = np.arange(time) < lengths[:, None]

    feed = {"X": inputs.transpose(1, 0, 2), "lengths": lengths.astype(np.int32)}
    feed |= {n: s[None] for n, s in zip(["h", "c"][: len(states)], states, strict=True)}
    expected, *final = _session(kind, layer).run(None, feed)
    expected = expected[:, 0].transpose(1, 0, 2)
    outputs, *found = layer(inputs, initial_state=states, mask=mask if padded else None)
    outputs = np.asarray(outputs)
    if backwards:  # ONNX has its outputs in the inputs' order
        outputs = outputs[:, ::-1]
    np.testing.assert_allclose(outputs[mask], expected[mask], rtol=2e-5, atol=2e-6)
    for have, want in zip(found, final, strict=True):
        np.testing.assert_allclose(have, want[0], rtol=2e-5, atol=2e-6)
