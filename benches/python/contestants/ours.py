"""ferrnn as its users call it: `layer(x)`, `layer.forward` and its vjp, `train_on_batch`."""

from __future__ import annotations

from typing import Any

import numpy as np
from cases import Array, Data, Job

import ferrnn
from contestants import Prepared
from ferrnn import Call, Gradients

LAYERS = {"lstm": "LSTM", "gru": "GRU", "simple_rnn": "SimpleRNN"}


def make_layer(job: Job, data: Data, **options: Any) -> Any:
    """The recurrent layer with the job's weights."""
    layer = getattr(ferrnn.layers, LAYERS[job.cell])(job.units, **options)
    layer.build(data.inputs.shape)
    layer.set_weights([data.kernel, data.recurrent_kernel, data.bias])
    return layer


class Contestant:
    """The layer call; the number of threads is set in the package."""

    def __init__(self, threads: int) -> None:
        self.version = f"{ferrnn.__version__} ({ferrnn.simd_level()})"
        ferrnn.set_num_threads(threads)

    def prepare(self, job: Job, data: Data) -> Prepared | None:
        """Every mode."""
        prepared: Prepared = getattr(self, job.mode)(job, data)
        return prepared

    def step(self, job: Job, data: Data) -> Prepared:
        """A stream, its outputs into an existing array."""
        layer = make_layer(job, data)
        stream = layer.stream(streams=job.batch)
        single = job.batch == 1
        inputs = np.ascontiguousarray(data.inputs[0, 0] if single else data.inputs[:, 0])
        out = np.empty((job.units,) if single else (job.batch, job.units), np.float32)

        def run() -> Any:
            return stream(inputs, out=out)

        def check() -> list[Array]:
            stream.reset()
            return [np.stack([run().reshape(job.batch, -1)[0].copy() for _ in range(3)])]

        return Prepared(run, check)

    def call(self, job: Job, data: Data) -> Prepared:
        """All outputs from zero states."""
        layer = make_layer(job, data, return_sequences=True)
        return Prepared(lambda: layer(data.inputs), lambda: [layer(data.inputs)])

    def backprop(self, job: Job, data: Data) -> Prepared:
        """`forward` and its vjp, told as in training that it runs once."""
        layer = make_layer(job, data, return_sequences=True)
        call = Call(differentiable=True, consume=True)
        weights = layer.weights

        def run() -> list[Array]:
            grads = Gradients()
            outputs, vjp = layer.forward(data.inputs, call)
            d_inputs = vjp(data.d_outputs, grads)
            return [outputs, d_inputs, *(grads[weight] for weight in weights)]

        return Prepared(run, run)

    def train(self, job: Job, data: Data) -> Prepared:
        """`train_on_batch` of a compiled Sequential."""
        model = make_model(job, data)

        def run() -> Any:
            return model.train_on_batch(data.inputs, data.targets)

        def check() -> list[Array]:
            checked = make_model(job, data)
            losses = []
            for _ in range(3):
                checked.reset_metrics()
                losses.append(float(checked.train_on_batch(data.inputs, data.targets)))
            return [np.array(losses)]

        return Prepared(run, check)


def make_model(job: Job, data: Data) -> Any:
    """The layer, Dense(1) on its last output, mean squared error and Adam."""
    layer = getattr(ferrnn.layers, LAYERS[job.cell])(job.units)
    head = ferrnn.layers.Dense(1)
    model = ferrnn.Sequential([ferrnn.Input((job.time, job.features)), layer, head])
    model.compile(ferrnn.optimizers.Adam(), "mse")
    weights = [data.kernel, data.recurrent_kernel, data.bias, data.head_kernel, data.head_bias]
    model.set_weights(weights)
    return model
