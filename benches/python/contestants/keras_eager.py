"""Keras on the backend that `KERAS_BACKEND` names: `predict_on_batch`, `train_on_batch`.

Streaming passes the states in and out: on JAX `predict_on_batch` forgets those of a stateful layer.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from cases import STATES, Array, Data, Job

from contestants import Prepared

LAYERS = {"lstm": "LSTM", "gru": "GRU", "simple_rnn": "SimpleRNN"}


class Contestant:
    """Compiled Keras models; threads as the backend has them."""

    def __init__(self, threads: int) -> None:
        self.version = f"{keras.__version__} ({keras.backend.backend()})"

    def prepare(self, job: Job, data: Data) -> Prepared | None:
        """All but the bare gradients, which Keras leaves to its backend."""
        if job.mode == "backprop":
            return None
        return self._train(job, data) if job.mode == "train" else self._predict(job, data)

    def _predict(self, job: Job, data: Data) -> Prepared:
        shape = (job.batch, job.time, job.features)
        layer = getattr(keras.layers, LAYERS[job.cell])(
            job.units, return_sequences=True, return_state=job.mode == "step"
        )
        inputs = keras.Input(batch_shape=shape)
        given = [keras.Input(batch_shape=(job.batch, job.units)) for _ in range(STATES[job.cell])]
        if job.mode == "step":
            model = keras.Model([inputs, *given], layer(inputs, initial_state=given))
        else:
            model = keras.Model(inputs, layer(inputs))
        model.set_weights([data.kernel, data.recurrent_kernel, data.bias])
        zeros = [np.zeros((job.batch, job.units), np.float32) for _ in given]
        states = zeros

        def step() -> Any:
            nonlocal states
            outputs, *states = model.predict_on_batch([data.inputs, *states])
            return outputs

        def check() -> list[Array]:
            nonlocal states
            if job.mode == "call":
                return [model.predict_on_batch(data.inputs)]
            states = zeros
            return [np.stack([step()[0, 0] for _ in range(3)])]

        run = step if job.mode == "step" else lambda: model.predict_on_batch(data.inputs)
        return Prepared(run, check)

    def _model(self, job: Job, data: Data) -> Any:
        layer = getattr(keras.layers, LAYERS[job.cell])(job.units)
        inputs = keras.Input(batch_shape=(job.batch, job.time, job.features))
        model = keras.Sequential([inputs, layer, keras.layers.Dense(1)])
        model.compile(keras.optimizers.Adam(), "mse")
        weights = [data.kernel, data.recurrent_kernel, data.bias, data.head_kernel, data.head_bias]
        model.set_weights(weights)
        return model

    def _train(self, job: Job, data: Data) -> Prepared:
        model = self._model(job, data)

        def check() -> list[Array]:
            checked, losses = self._model(job, data), []
            for _ in range(3):
                checked.reset_metrics()
                losses.append(float(checked.train_on_batch(data.inputs, data.targets)))
            return [np.array(losses)]

        return Prepared(lambda: model.train_on_batch(data.inputs, data.targets), check)
