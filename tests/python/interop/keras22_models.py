"""Writes models in Keras 2.2.2, on its own Python: `python keras22_models.py FOLDER`.

It has cuDNN's layers, `Sequential` is a list in its files, and its gates are hard_sigmoid's.
"""

from __future__ import annotations

import json

import h5py
import keras
import numpy as np
import tensorflow as tf
from keras import layers as k
from keras.models import Model, Sequential

from keras1_models import FOLDER, NUMBERS, TIME, keep, randomize, save


def plain():
    yield (
        "mixed",
        Sequential(
            [
                k.LSTM(5, input_shape=(TIME, 4), return_sequences=True),
                k.GRU(4, return_sequences=True, implementation=1),
                k.Bidirectional(k.LSTM(3, recurrent_activation="sigmoid")),
                k.Dense(2),
            ]
        ),
    )
    x = k.Input((TIME, 4), name="series")
    y = k.TimeDistributed(k.Dense(3, activation="relu"))(x)
    y = k.RNN([k.LSTMCell(4), k.GRUCell(3)], return_sequences=True)(y)
    z = k.Bidirectional(k.GRU(3, reset_after=True, return_sequences=True), merge_mode="mul")(x)
    joined = k.Concatenate()([y, k.Add()([z, y])])
    yield "functional", Model(x, k.Dense(2)(k.BatchNormalization()(joined)))


def cudnn(fast):
    lstm, gru = (k.CuDNNLSTM, k.CuDNNGRU) if fast else (k.LSTM, k.GRU)
    gates = {} if fast else {"recurrent_activation": "sigmoid"}
    reset = {} if fast else {"reset_after": True, **gates}
    return Sequential(
        [
            lstm(5, input_shape=(TIME, 4), return_sequences=True, **gates),
            k.Bidirectional(lstm(3, return_sequences=True, **gates)),
            gru(4, **reset),
            k.Dense(2),
        ]
    )


def main():
    for name, model in plain():
        save(name, model)
    fast, slow = cudnn(fast=True), cudnn(fast=False)
    randomize(fast, "cudnn")
    for case, write in (("cudnn", fast.save), ("cudnn_weights", fast.save_weights)):
        path = str(FOLDER / (case + ".h5"))
        write(path)
        slow.load_weights(path)
        keep(case, case + ".h5", slow, "cudnn")
    NUMBERS["versions"] = json.dumps(
        {"keras": keras.__version__, "tensorflow": tf.__version__, "h5py": h5py.__version__}
    )
    np.savez(str(FOLDER / "numbers.npz"), **NUMBERS)


if __name__ == "__main__":
    main()
