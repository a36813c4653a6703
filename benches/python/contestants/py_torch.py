"""PyTorch: `nn.LSTM`, `nn.GRU` and `nn.RNN`, batch first; eager, as they are used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from cases import STATES, Array, Data, Job

from contestants import Prepared

# Where PyTorch has its gates, counted in Keras' order (i, f, c, o and z, r, h).
ORDER = {"lstm": [0, 1, 2, 3], "gru": [1, 0, 2], "simple_rnn": [0]}
LAYERS = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "simple_rnn": torch.nn.RNN}


def reordered(array: Array, cell: str) -> Array:
    """Blocks of columns from Keras' order to PyTorch's (the swap is its own inverse)."""
    blocks = np.split(array, len(ORDER[cell]), axis=-1)
    return np.concatenate([blocks[g] for g in ORDER[cell]], axis=-1)


def make_layer(job: Job, data: Data) -> Any:
    """The layer with the job's weights."""
    layer = LAYERS[job.cell](job.features, job.units, batch_first=True)
    outer, inner = data.bias if job.cell == "gru" else (data.bias, np.zeros_like(data.bias))
    values = [data.kernel, data.recurrent_kernel, outer, inner]
    with torch.no_grad():
        for parameter, value in zip(layer.parameters(), values, strict=True):
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(reordered(value, job.cell).T)))
    if job.cell != "gru":
        layer.bias_hh_l0.requires_grad_(False)  # one bias, as in Keras
    return layer


class Contestant:
    """Eager PyTorch."""

    def __init__(self, threads: int) -> None:
        self.version = torch.__version__
        torch.set_num_threads(threads)

    def prepare(self, job: Job, data: Data) -> Prepared | None:
        """Every mode."""
        prepared: Prepared = getattr(self, job.mode)(job, data)
        return prepared

    def _inference(self, layer: Any, inputs: Any, states: Any) -> Any:
        with torch.inference_mode():
            return layer(inputs, states)

    def _zeros(self, job: Job) -> Any:
        zeros = [torch.zeros(1, job.batch, job.units) for _ in range(STATES[job.cell])]
        return tuple(zeros) if len(zeros) > 1 else zeros[0]

    def step(self, job: Job, data: Data) -> Prepared:
        """The state is passed from call to call."""
        layer, inputs = make_layer(job, data), torch.from_numpy(data.inputs)
        states = self._zeros(job)

        def run() -> Any:
            nonlocal states
            outputs, states = self._inference(layer, inputs, states)
            return outputs

        def check() -> list[Array]:
            nonlocal states
            states = self._zeros(job)
            return [np.stack([run().numpy()[0, 0] for _ in range(3)])]

        return Prepared(run, check)

    def call(self, job: Job, data: Data) -> Prepared:
        """All outputs from zero states."""
        layer, inputs, states = make_layer(job, data), torch.from_numpy(data.inputs), None

        def run() -> Any:
            return self._inference(layer, inputs, states)[0]

        return Prepared(run, lambda: [run().numpy()])

    def backprop(self, job: Job, data: Data) -> Prepared:
        """`autograd.grad` with respect to inputs and weights."""
        layer = make_layer(job, data)
        inputs = torch.from_numpy(data.inputs.copy()).requires_grad_()
        d_outputs = torch.from_numpy(data.d_outputs)
        wanted = [inputs, *(p for p in layer.parameters() if p.requires_grad)]

        def run() -> Any:
            outputs, _ = layer(inputs)
            return [outputs, *torch.autograd.grad(outputs, wanted, d_outputs)]

        def check() -> list[Array]:
            found = [part.detach().numpy() for part in run()]
            weights = [reordered(part.T, job.cell) for part in found[2:]]
            bias = np.stack(weights[2:]) if job.cell == "gru" else weights[2]
            return [*found[:2], *weights[:2], bias]

        return Prepared(run, check)

    def train(self, job: Job, data: Data) -> Prepared:
        """`backward` and `optim.Adam`."""
        inputs, targets = torch.from_numpy(data.inputs), torch.from_numpy(data.targets)

        def fresh() -> Callable[[], Any]:
            layer, head = make_layer(job, data), torch.nn.Linear(job.units, 1)
            with torch.no_grad():
                head.weight.copy_(torch.from_numpy(data.head_kernel.T))
                head.bias.copy_(torch.from_numpy(data.head_bias))
            weights = [p for p in (*layer.parameters(), *head.parameters()) if p.requires_grad]
            optimizer = torch.optim.Adam(weights, lr=1e-3, eps=1e-7)

            def one() -> Any:
                optimizer.zero_grad()
                outputs, _ = layer(inputs)
                loss = torch.nn.functional.mse_loss(head(outputs[:, -1]), targets)
                loss.backward()
                optimizer.step()
                return loss

            return one

        def check() -> list[Array]:
            one = fresh()
            return [np.array([one().item() for _ in range(3)])]

        return Prepared(fresh(), check)
