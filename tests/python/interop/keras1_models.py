"""Writes models in Keras 1, on its own Python: `python keras1_models.py FOLDER`.

`make_old_keras.py` runs this, and records what it writes to `FOLDER/numbers.npz`.
"""

from __future__ import annotations

import json
import os
import sys
import zlib
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import h5py
import keras
import numpy as np
import tensorflow as tf
from keras import layers as k
from keras.models import Model, Sequential

FOLDER = Path(sys.argv[1])
NUMBERS: dict = {}
BATCH, TIME = 3, 7


def random_of(name):
    return np.random.RandomState(zlib.crc32(name.encode()) % 2**32)


def rounded(values):
    return (np.round(values * 256) / 256).astype("float32")


def randomize(model, name):
    """Random weights and statistics."""
    random = random_of(name)
    names = [str(weight.name) for layer in model.layers for weight in layer.weights]
    values = []
    assert len(names) == len(model.get_weights())
    for weight, where in zip(model.get_weights(), names):  # noqa: B905 - Python 3.7
        drawn = random.normal(size=weight.shape) * 1.1 / np.sqrt((weight.shape or (5,))[0] + 1)
        if "running_std" in where or "variance" in where:
            drawn = random.uniform(0.4, 2.0, size=weight.shape)
        elif "gamma" in where:
            drawn = 1 + drawn / 2
        values.append(rounded(drawn))
    model.set_weights(values)


def inputs_of(model, name):
    random, found = random_of(name + " inputs"), []
    ids = any(type(layer).__name__ == "Embedding" for layer in model.layers)
    for tensor in model.inputs:
        free = zip(keras.backend.int_shape(tensor), (BATCH, TIME, 4))  # noqa: B905
        shape = [size or n for size, n in free]
        if ids:
            array = random.randint(1, 9, size=shape)
            for row in range(len(array)):
                array[row, len(array[0]) - row :] = 0
            found.append(array.astype("float32"))
        else:
            found.append(rounded(random.normal(size=shape)))
    if name == "masking":
        found[0][1, 4:] = found[0][2, :2] = 0.5
    return found


def keep(case, file, model, name, **about):
    outputs = model.predict_on_batch(inputs_of(model, name))
    kept = {"input": inputs_of(model, name), "weight": model.get_weights()}
    kept["output"] = outputs if isinstance(outputs, list) else [outputs]
    for kind, arrays in kept.items():
        for i, array in enumerate(arrays):
            NUMBERS[f"{case}/{kind}_{i}"] = array
    NUMBERS[case + "/about"] = json.dumps(dict(about, file=file))


def save(name, model, **about):
    randomize(model, name)
    model.save(str(FOLDER / (name + ".h5")))
    keep(name, name + ".h5", model, name, **about)


def recurrent():
    for mode in ("cpu", "gpu"):
        yield (
            "lstm_" + mode,
            Sequential(
                [
                    k.LSTM(5, input_shape=(TIME, 4), return_sequences=True, consume_less=mode),
                    k.LSTM(3, inner_activation="sigmoid", activation="softsign", consume_less=mode),
                    k.Dense(2, activation="sigmoid"),
                ]
            ),
        )
    yield (
        "gru",
        Sequential(
            [
                k.GRU(5, input_dim=4, return_sequences=True, dropout_W=0.2, dropout_U=0.1),
                k.GRU(3, go_backwards=True, init="uniform", inner_init="orthogonal"),
                k.Dense(2, bias=False),
            ]
        ),
    )
    yield (
        "gru_gpu",
        Sequential([k.GRU(5, input_dim=4, consume_less="gpu"), k.Dense(2, W_regularizer="l2")]),
    )
    yield (
        "simple_rnn",
        Sequential(
            [
                k.SimpleRNN(5, input_dim=4, input_length=TIME, return_sequences=True),
                k.SimpleRNN(3, activation="relu"),
                k.Dense(2, activation="hard_sigmoid"),
            ]
        ),
    )
    yield (
        "stateful",
        Sequential([k.LSTM(5, batch_input_shape=(BATCH, TIME, 4), stateful=True), k.Dense(2)]),
    )


def wrapped():
    for mode in ("concat", "ave"):
        yield (
            "bidirectional_" + mode,
            Sequential(
                [
                    k.Embedding(11, 6, mask_zero=mode == "concat", input_length=TIME, dropout=0.1),
                    k.Bidirectional(k.LSTM(4, return_sequences=True), merge_mode=mode),
                    k.Bidirectional(k.GRU(3), merge_mode=mode),
                    k.Dense(2, activation="softmax"),
                ]
            ),
        )
    yield (
        "distributed",
        Sequential(
            [
                k.TimeDistributed(k.Dense(5, activation="tanh"), input_shape=(TIME, 4)),
                k.LSTM(4, return_sequences=True),
                k.TimeDistributedDense(3, activation="relu"),
                k.TimeDistributed(k.Dense(2, bias=False)),
            ]
        ),
    )
    yield (
        "masking",
        Sequential([k.Masking(0.5, input_shape=(TIME, 4)), k.LSTM(4), k.Dropout(0.2), k.Dense(2)]),
    )


def convolution():
    return Sequential(
        [
            k.Convolution1D(6, 3, border_mode="same", activation="relu", input_shape=(19, 4)),
            k.BatchNormalization(epsilon=2e-3),
            k.MaxPooling1D(pool_length=2),
            k.Convolution1D(5, 2, subsample_length=2, bias=False),
            k.AveragePooling1D(pool_length=2, stride=1),
            k.LeakyReLU(0.2),
            k.Dropout(0.3),
            k.GRU(4, return_sequences=True),
            k.GlobalMaxPooling1D(),
            k.RepeatVector(3),
            k.PReLU(),
            k.Flatten(),
            k.Dense(2),
        ]
    )


def merged():
    """A functional model: shared layers, each mode of `merge`, two outputs, a nested model."""
    one, two = k.Input((TIME, 4), name="one"), k.Input((TIME, 4), name="two")
    inner = Sequential([k.LSTM(5, input_shape=(TIME, 4)), k.Dense(3)])
    a, b = inner(one), inner(two)
    modes = ("sum", "mul", "ave", "max", "concat")
    parts = [k.merge([a, b], mode=mode) for mode in modes]
    parts.append(k.merge([a, b], mode="dot", dot_axes=1))
    parts.append(k.Activation("tanh")(a))
    joined = k.merge(parts, mode="concat", concat_axis=-1)
    outputs = [k.Dense(2, name="head")(joined), k.Dense(2, activation="softplus", name="other")(b)]
    return Model(input=[one, two], output=outputs)


def branches():
    """`Merge` as the first layer of a `Sequential`, of two others."""
    left = Sequential([k.LSTM(4, input_shape=(TIME, 4))])
    right = Sequential([k.GRU(3, input_shape=(TIME, 4)), k.Dense(4)])
    return Sequential([k.Merge([left, right], mode="concat"), k.Dense(2)])


def compiled():
    model = Sequential([k.LSTM(5, input_shape=(TIME, 4)), k.BatchNormalization(), k.Dense(2)])
    randomize(model, "compiled")
    model.compile("adam", "mse", metrics=["mae"])
    random = random_of("compiled data")
    x, y = random.normal(size=(BATCH, TIME, 4)), random.normal(size=(BATCH, 2))
    for _ in range(3):
        model.train_on_batch(x, y)
    model.save(str(FOLDER / "compiled.h5"))
    keep("compiled", "compiled.h5", model, "compiled")


def weights_only():
    model = convolution()
    randomize(model, "weights")
    model.save_weights(str(FOLDER / "weights.h5"))
    config = model.to_json()
    keep("weights", "weights.h5", model, "weights", config=json.loads(config))


def flipped():
    """The kernels of a convolution as Theano's backend keeps them: reversed in time."""
    model = convolution()
    randomize(model, "theano")
    path = str(FOLDER / "theano.h5")
    model.save(path)
    with h5py.File(path, "r+") as file:
        for layer in file["model_weights"].values():
            for data in layer.values():
                if data.ndim == 4:
                    data[...] = data[()][::-1]
    keep("theano", "theano.h5", model, "theano", theano=True)


def main():
    for name, model in list(recurrent()) + list(wrapped()):
        save(name, model)
    save("convolution", convolution())
    save("merged", merged())
    save("branches", branches())
    compiled()
    weights_only()
    flipped()
    NUMBERS["versions"] = json.dumps(
        {"keras": keras.__version__, "tensorflow": tf.__version__, "h5py": h5py.__version__}
    )
    np.savez(str(FOLDER / "numbers.npz"), **NUMBERS)


if __name__ == "__main__":
    main()
