"""The models of `make_keras2.py`, `make_keras3.py` and `make_savedmodel.py`.

Each function takes the module `keras` or `tf_keras`, whose names are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from recording import Array, Random

BATCH, TIME = 3, 7
ACTIVATIONS = (
    "elu", "selu", "softplus", "softsign", "relu", "tanh", "sigmoid", "hard_sigmoid",
    "exponential", "linear", "gelu", "swish",
)  # fmt: skip
Builder = Callable[[Any], Any]


def lstm(k: Any) -> Any:
    return k.Sequential([
        k.Input((None, 4)), k.layers.LSTM(5, return_sequences=True),
        k.layers.LSTM(3, activation="softsign", recurrent_activation="sigmoid"),
        k.layers.Dense(2, activation="sigmoid"),
    ])  # fmt: skip


def gru(k: Any) -> Any:
    return k.Sequential([
        k.Input((None, 4)), k.layers.GRU(5, return_sequences=True, reset_after=True),
        k.layers.GRU(3, reset_after=False), k.layers.Dense(2),
    ])  # fmt: skip


def simple_rnn(k: Any) -> Any:
    return k.Sequential([
        k.Input((None, 4)), k.layers.SimpleRNN(5, return_sequences=True, activation="relu"),
        k.layers.SimpleRNN(3, use_bias=False), k.layers.Dense(2, use_bias=False),
    ])  # fmt: skip


def bidirectional(k: Any) -> Any:
    return k.Sequential([
        k.Input((None,)), k.layers.Embedding(11, 6, mask_zero=True),
        k.layers.Bidirectional(k.layers.LSTM(5, return_sequences=True)),
        k.layers.Bidirectional(k.layers.GRU(4, return_sequences=True), merge_mode="sum"),
        k.layers.Bidirectional(
            k.layers.SimpleRNN(3), merge_mode="ave",
            backward_layer=k.layers.SimpleRNN(3, activation="relu", go_backwards=True),
        ),
        k.layers.Dense(2, activation="softmax"),
    ])  # fmt: skip


def wrappers(k: Any) -> Any:
    cells = [k.layers.LSTMCell(5), k.layers.GRUCell(4), k.layers.SimpleRNNCell(3)]
    return k.Sequential([
        k.Input((None, 4)), k.layers.TimeDistributed(k.layers.Dense(4, activation="tanh")),
        k.layers.RNN(cells, return_sequences=True),
        k.layers.RNN(k.layers.GRUCell(4, reset_after=False), return_sequences=True),
        k.layers.TimeDistributed(k.Sequential([k.layers.Dense(3), k.layers.LayerNormalization()])),
    ])  # fmt: skip


def convolution(k: Any) -> Any:
    return k.Sequential([
        k.Input((19, 4)), k.layers.Conv1D(6, 3, padding="same", activation="relu"),
        k.layers.BatchNormalization(epsilon=2e-3), k.layers.MaxPooling1D(2),
        k.layers.Conv1D(5, 2, padding="causal", dilation_rate=2, use_bias=False),
        k.layers.LayerNormalization(epsilon=1e-2), k.layers.Dropout(0.2),
        k.layers.AveragePooling1D(2, strides=1, padding="same"),
        k.layers.Conv1D(6, 3, strides=2, groups=1), k.layers.SpatialDropout1D(0.1),
        k.layers.LSTM(4, return_sequences=True), k.layers.GlobalAveragePooling1D(),
        k.layers.Dense(3),
    ])  # fmt: skip


def two_inputs(k: Any) -> Any:
    one, two = k.Input((None, 4), name="one"), k.Input((None, 4), name="two")
    shared = k.layers.LSTM(5, name="shared")
    a, b = shared(one), shared(two)
    merged = [
        k.layers.Add()([a, b]),
        k.layers.Multiply()([a, b]),
        k.layers.Average()([a, b]),
        k.layers.Subtract()([a, b]),
        k.layers.Maximum()([a, b]),
        k.layers.Minimum()([a, b]),
        k.layers.Dot(axes=-1, normalize=True)([a, b]),
    ]
    joined = k.layers.Concatenate(name="joined")(merged)
    head = k.layers.Dense(2, name="head")(joined)
    other = k.layers.Dense(3, activation="tanh", name="other")(a)
    return k.Model([one, two], [head, other], name="siamese")  # fmt: skip


def nested(k: Any) -> Any:
    inner = k.Sequential(
        [
            k.Input((None, 4)), k.layers.GRU(5, return_sequences=True),
            k.layers.BatchNormalization(), k.layers.Dense(4),
        ],
        name="inner",
    )  # fmt: skip
    x = k.Input((None, 4))
    y = k.layers.Activation("tanh")(inner(x))
    middle = k.Model(x, [inner(y), k.layers.LSTM(3)(y)], name="middle")
    outer = k.Input((None, 4))
    sequence, last = middle(outer)
    pooled = k.layers.GlobalMaxPooling1D()(sequence)
    joined = k.layers.concatenate([pooled, last])
    return k.Model(outer, k.layers.Dense(2)(joined), name="outer")


def options(k: Any) -> Any:
    layers = k.layers
    return k.Sequential([
        k.Input((None, 4)),
        layers.LSTM(5, go_backwards=True, return_sequences=True, use_bias=False),
        layers.GRU(4, recurrent_activation="hard_sigmoid", activation="elu",
                   return_sequences=True),
        layers.LSTM(4, recurrent_activation="hard_sigmoid", return_sequences=True,
                    unit_forget_bias=False, dropout=0.2, recurrent_dropout=0.1),
        layers.GRU(3, use_bias=False, go_backwards=True, recurrent_activation="hard_sigmoid",
                   reset_after=False, return_sequences=True, kernel_initializer="he_normal"),
        layers.SimpleRNN(3, kernel_regularizer="l2", bias_constraint="unit_norm"),
        layers.Dense(2, activation="hard_sigmoid"),
    ])  # fmt: skip


def stateful(k: Any) -> Any:
    layers = k.layers
    x = k.Input(batch_shape=(BATCH, TIME, 4))
    y = layers.LSTM(5, stateful=True, return_sequences=True)(x)
    y = layers.Bidirectional(layers.GRU(3, stateful=True))(y)
    return k.Model(x, layers.Dense(2)(y))


def masking(k: Any) -> Any:
    return k.Sequential([
        k.Input((TIME, 4)), k.layers.Masking(0.5), k.layers.GRU(5, return_sequences=True),
        k.layers.Dropout(0.3), k.layers.LSTM(4, go_backwards=True), k.layers.Dense(2),
    ])  # fmt: skip


def translator(k: Any) -> Any:
    source, target = k.Input((None,), name="source"), k.Input((None,), name="target")
    words = k.layers.Embedding(9, 4, name="words")
    _, h, c = k.layers.LSTM(5, return_state=True, name="encoder")(words(source))
    decoder = k.layers.LSTM(5, return_sequences=True, return_state=True, name="decoder")
    outputs, _, last = decoder(words(target), initial_state=[h, c])
    scores = k.layers.Dense(9, activation="softmax", name="scores")(outputs)
    return k.Model([source, target], [scores, last], name="translator")


def reshaping(k: Any) -> Any:
    layers = k.layers
    return k.Sequential([
        k.Input((5, 4)), layers.ZeroPadding1D((1, 2)), layers.Cropping1D((0, 1)),
        layers.UpSampling1D(2), layers.Permute((2, 1)), layers.Reshape((7, 8)),
        layers.LSTM(3), layers.RepeatVector(4), layers.SimpleRNN(3, return_sequences=True),
        layers.Flatten(), layers.Dense(2),
    ])  # fmt: skip


def activations(k: Any) -> Any:
    layers = k.layers
    x = k.Input((6,))
    branches = [layers.LeakyReLU()(x), layers.PReLU()(x), layers.ELU()(x), layers.Softmax()(x)]
    branches.append(layers.ReLU(max_value=1.1, negative_slope=0.1, threshold=0.2)(x))
    branches += [
        layers.Activation(name)(x)
        for name in ACTIVATIONS
    ]  # fmt: skip
    return k.Model(x, layers.Dense(3)(layers.Concatenate()(branches)))


def attention(k: Any) -> Any:
    layers = k.layers
    query, value = k.Input((5, 4), name="query"), k.Input((7, 4), name="value")
    states = layers.LSTM(4, return_sequences=True)(value)
    found = [layers.Attention(use_scale=True)([query, states])]
    found.append(layers.AdditiveAttention()([query, states]))
    found.append(layers.MultiHeadAttention(num_heads=2, key_dim=3)(query, states))
    return k.Model([query, value], layers.Dense(2)(layers.Concatenate()(found)))


def conv_lstm(k: Any) -> Any:
    return k.Sequential([
        k.Input((None, 6, 3)), k.layers.ConvLSTM1D(4, 3, padding="same", return_sequences=True),
        k.layers.ConvLSTM1D(2, 3), k.layers.Flatten(), k.layers.Dense(2),
    ])  # fmt: skip


MODELS: dict[str, Builder] = {
    built.__name__: built
    for built in (
        lstm, gru, simple_rnn, bidirectional, wrappers, convolution, two_inputs, nested, options,
        stateful, masking, translator, reshaping, activations, attention, conv_lstm,
    )
}  # fmt: skip


def randomize(model: Any, name: str) -> None:
    """Random weights, statistics too: none is constant."""
    random = Random(name)
    values = []
    for weight in model.weights:
        shape = tuple(weight.shape)
        where = getattr(weight, "path", weight.name)
        scale = 1.1 / np.sqrt(shape[-2] if len(shape) > 1 else 5)
        drawn = random.normal(*shape, scale=scale)
        if "variance" in where:
            drawn = random.uniform(*shape, low=0.4, high=2.0)
        elif "gamma" in where:
            drawn = 1 + drawn / 2
        values.append(drawn.astype("float32"))
    model.set_weights(values)


def inputs_of(model: Any, name: str) -> list[Array]:
    """Random inputs of the model's shapes; ids for an embedding, with zeros at the end."""
    random, found = Random(f"{name} inputs"), []
    words = "Embedding" in {type(layer).__name__ for layer in model.layers}
    for i, tensor in enumerate(model.inputs):
        free = [BATCH, TIME - i]
        shape = [free[axis] if size is None else size for axis, size in enumerate(tensor.shape)]
        if words:
            ids = random.rng.integers(1, 9, shape)
            for row in range(len(ids)):
                ids[row, len(ids[0]) - row :] = 0
            found.append(ids.astype("int32"))
        else:
            found.append(random.normal(*shape, dtype="float32"))
    if name == "masking":
        found[0][1, 4:] = found[0][2, :2] = 0.5
    return found


def targets_of(model: Any, name: str) -> list[Array]:
    """Random targets of the outputs' shapes."""
    random = Random(f"{name} targets")
    return [
        random.normal(*[(BATCH, TIME)[a] if n is None else n for a, n in enumerate(t.shape)],
                      dtype="float32")
        for t in model.outputs
    ]  # fmt: skip


def predicted(model: Any, inputs: list[Array]) -> list[Array]:
    outputs = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    return [np.asarray(o) for o in (outputs if isinstance(outputs, list | tuple) else [outputs])]


def train(model: Any, inputs: list[Array], targets: list[Array], steps: int) -> list[float]:
    """The losses of some steps on one batch."""
    x, y = (part if len(part) > 1 else part[0] for part in (inputs, targets))
    losses = [model.train_on_batch(x, y, return_dict=True)["loss"] for _ in range(steps)]
    return [float(loss) for loss in losses]
