"""A plain NumPy loop with a hand-written backward: what one writes without a library."""

from __future__ import annotations

from typing import Any

import numpy as np
from cases import STATES, Array, Data, Job

from contestants import Prepared

States = list[Array]


def _sigmoid(x: Array) -> Array:
    return np.asarray(0.5 * np.tanh(0.5 * x) + 0.5)


class Net:
    """One recurrent layer's loop over time; keeps what backward needs."""

    def __init__(self, job: Job, data: Data) -> None:
        self.units, self.cell = job.units, job.cell
        self.kernel, self.recurrent = data.kernel.copy(), data.recurrent_kernel.copy()
        self.bias = data.bias.copy()
        self.kept: list[Any] = []

    def initial(self, batch: int) -> States:
        """Zero states."""
        return [np.zeros((batch, self.units), np.float32) for _ in range(STATES[self.cell])]

    def forward(self, inputs: Array, states: States, *, keep: bool) -> tuple[Array, States]:
        """Outputs at every step, and the final states."""
        batch, time, features = inputs.shape
        bias = self.bias[0] if self.cell == "gru" else self.bias
        projected = inputs.reshape(-1, features) @ self.kernel + bias
        projected = projected.reshape(batch, time, -1)
        outputs = np.empty((batch, time, self.units), np.float32)
        step = getattr(self, self.cell)
        self.kept = []
        for t in range(time):
            states, kept = step(projected[:, t], states)
            outputs[:, t] = states[0]
            if keep:
                self.kept.append(kept)
        return outputs, states

    def backward(self, inputs: Array, d_outputs: Array) -> list[Array]:
        """Gradients of inputs, kernel, recurrent kernel and bias, given those of all outputs."""
        batch, time, features = inputs.shape
        d_projected = np.empty((batch, time, self.kernel.shape[1]), np.float32)
        d_recurrent = np.zeros_like(self.recurrent)
        d_bias = np.zeros_like(self.bias)
        d_states = self.initial(batch)
        back = getattr(self, f"{self.cell}_back")
        for t in range(time - 1, -1, -1):
            d_states[0] = d_states[0] + d_outputs[:, t]
            d_z, d_h, h, d_states = back(self.kept[t], d_states)
            d_projected[:, t] = d_z
            d_recurrent += h.T @ d_h
            if self.cell == "gru":
                d_bias[1] += d_h.sum(axis=0)
        flat = d_projected.reshape(batch * time, -1)
        d_kernel = inputs.reshape(-1, features).T @ flat
        d_inputs = (flat @ self.kernel.T).reshape(inputs.shape)
        if self.cell == "gru":
            d_bias[0] = flat.sum(axis=0)
        else:
            d_bias = flat.sum(axis=0)
        return [d_inputs, d_kernel, d_recurrent, d_bias]

    def lstm(self, projected: Array, states: States) -> tuple[States, Any]:
        """Gates i, f, candidate, o."""
        h, c = states
        z = projected + h @ self.recurrent
        u = self.units
        i, f = _sigmoid(z[:, :u]), _sigmoid(z[:, u : 2 * u])
        g, o = np.tanh(z[:, 2 * u : 3 * u]), _sigmoid(z[:, 3 * u :])
        new = f * c + i * g
        squashed = np.tanh(new)
        return [o * squashed, new], (h, c, i, f, g, o, squashed)

    def lstm_back(self, kept: Any, d_states: States) -> tuple[Array, Array, Array, States]:
        h, c, i, f, g, o, squashed = kept
        d_h, d_c = d_states
        d_c = d_c + d_h * o * (1 - squashed * squashed)
        d_z = np.concatenate(
            [
                d_c * g * i * (1 - i),
                d_c * c * f * (1 - f),
                d_c * i * (1 - g * g),
                d_h * squashed * o * (1 - o),
            ],
            axis=1,
        )
        return d_z, d_z, h, [d_z @ self.recurrent.T, d_c * f]

    def gru(self, projected: Array, states: States) -> tuple[States, Any]:
        """Gates z, r, candidate; the reset gate after the product."""
        (h,) = states
        u = self.units
        recurrent = h @ self.recurrent + self.bias[1]
        z = _sigmoid(projected[:, :u] + recurrent[:, :u])
        r = _sigmoid(projected[:, u : 2 * u] + recurrent[:, u : 2 * u])
        kept = recurrent[:, 2 * u :]
        g = np.tanh(projected[:, 2 * u :] + r * kept)
        return [z * h + (1 - z) * g], (h, z, r, g, kept)

    def gru_back(self, kept: Any, d_states: States) -> tuple[Array, Array, Array, States]:
        h, z, r, g, recurrent = kept
        (d_h,) = d_states
        d_g = d_h * (1 - z) * (1 - g * g)
        d_z = d_h * (h - g) * z * (1 - z)
        d_r = d_g * recurrent * r * (1 - r)
        d_inputs = np.concatenate([d_z, d_r, d_g], axis=1)
        d_recurrent = np.concatenate([d_z, d_r, d_g * r], axis=1)
        return d_inputs, d_recurrent, h, [d_recurrent @ self.recurrent.T + d_h * z]

    def simple_rnn(self, projected: Array, states: States) -> tuple[States, Any]:
        """`tanh(projected + h recurrent)`."""
        (h,) = states
        new = np.tanh(projected + h @ self.recurrent)
        return [new], (h, new)

    def simple_rnn_back(self, kept: Any, d_states: States) -> tuple[Array, Array, Array, States]:
        h, new = kept
        d_z = d_states[0] * (1 - new * new)
        return d_z, d_z, h, [d_z @ self.recurrent.T]


class Adam:
    """Keras' Adam over a list of arrays, in place."""

    def __init__(self, weights: list[Array]) -> None:
        self.weights = weights
        self.m = [np.zeros_like(w) for w in weights]
        self.v = [np.zeros_like(w) for w in weights]
        self.t = 0

    def update(self, gradients: list[Array]) -> None:
        """One step at the default settings."""
        self.t += 1
        rate = np.float32(1e-3 * (1 - 0.999**self.t) ** 0.5 / (1 - 0.9**self.t))
        for weight, m, v, g in zip(self.weights, self.m, self.v, gradients, strict=True):
            m[...] += (g - m) * np.float32(0.1)
            v[...] += (g * g - v) * np.float32(0.001)
            weight[...] -= rate * m / (np.sqrt(v) + np.float32(1e-7))


class Contestant:
    """NumPy; its BLAS takes its threads from the environment."""

    def __init__(self, threads: int) -> None:
        self.version = np.__version__

    def prepare(self, job: Job, data: Data) -> Prepared | None:
        """Every mode."""
        prepared: Prepared = getattr(self, job.mode)(job, data)
        return prepared

    def step(self, job: Job, data: Data) -> Prepared:
        """The state is passed from call to call."""
        net, states = Net(job, data), Net(job, data).initial(job.batch)

        def run() -> Array:
            nonlocal states
            outputs, states = net.forward(data.inputs, states, keep=False)
            return outputs

        def check() -> list[Array]:
            nonlocal states
            states = net.initial(job.batch)
            return [np.stack([run()[0, 0] for _ in range(3)])]

        return Prepared(run, check)

    def call(self, job: Job, data: Data) -> Prepared:
        """All outputs from zero states."""
        net = Net(job, data)

        def run() -> Array:
            return net.forward(data.inputs, net.initial(job.batch), keep=False)[0]

        return Prepared(run, lambda: [run()])

    def backprop(self, job: Job, data: Data) -> Prepared:
        """Outputs, then every gradient."""
        net = Net(job, data)

        def run() -> list[Array]:
            outputs, _ = net.forward(data.inputs, net.initial(job.batch), keep=True)
            return [outputs, *net.backward(data.inputs, data.d_outputs)]

        return Prepared(run, run)

    def train(self, job: Job, data: Data) -> Prepared:
        """Dense(1) on the last output, mean squared error, Adam."""

        def fresh() -> tuple[Net, list[Array], Adam]:
            net = Net(job, data)
            head = [data.head_kernel.copy(), data.head_bias.copy()]
            return net, head, Adam([net.kernel, net.recurrent, net.bias, *head])

        def one(net: Net, head: list[Array], adam: Adam) -> float:
            outputs, _ = net.forward(data.inputs, net.initial(job.batch), keep=True)
            last = outputs[:, -1]
            error = last @ head[0] + head[1] - data.targets
            d_pred = error * np.float32(2.0 / error.size)
            d_outputs = np.zeros_like(outputs)
            d_outputs[:, -1] = d_pred @ head[0].T
            gradients = net.backward(data.inputs, d_outputs)[1:]
            adam.update([*gradients, last.T @ d_pred, d_pred.sum(axis=0)])
            return float(np.mean(error * error))

        timed = fresh()

        def check() -> list[Array]:
            checked = fresh()
            return [np.array([one(*checked) for _ in range(3)])]

        return Prepared(lambda: one(*timed), check)
