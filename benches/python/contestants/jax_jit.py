"""JAX: one jitted function per job, the input product hoisted out of `scan`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from cases import STATES, Array, Data, Job
from jax import lax

from contestants import Prepared

Weights = tuple[Any, ...]


def make_step(job: Job) -> Callable[..., Any]:
    """`(states, projected, recurrent_kernel, recurrent_bias) -> states`."""
    u = job.units

    def lstm(states: Any, projected: Any, recurrent: Any, _: Any) -> Any:
        z = projected + states[0] @ recurrent
        i, f = jax.nn.sigmoid(z[:, :u]), jax.nn.sigmoid(z[:, u : 2 * u])
        g, o = jnp.tanh(z[:, 2 * u : 3 * u]), jax.nn.sigmoid(z[:, 3 * u :])
        c = f * states[1] + i * g
        return o * jnp.tanh(c), c

    def gru(states: Any, projected: Any, recurrent: Any, bias: Any) -> Any:
        (h,) = states
        inner = h @ recurrent + bias
        gates = jax.nn.sigmoid(projected[:, : 2 * u] + inner[:, : 2 * u])
        z, r = gates[:, :u], gates[:, u:]
        g = jnp.tanh(projected[:, 2 * u :] + r * inner[:, 2 * u :])
        return (z * h + (1 - z) * g,)

    def simple_rnn(states: Any, projected: Any, recurrent: Any, _: Any) -> Any:
        return (jnp.tanh(projected + states[0] @ recurrent),)

    return {"lstm": lstm, "gru": gru, "simple_rnn": simple_rnn}[job.cell]


def make_layer(job: Job) -> Callable[..., Any]:
    """`(inputs, states, kernel, recurrent_kernel, bias) -> (outputs, states)`."""
    step = make_step(job)

    def layer(inputs: Any, states: Any, kernel: Any, recurrent: Any, bias: Any) -> Any:
        outer, inner = (bias[0], bias[1]) if job.cell == "gru" else (bias, bias)
        projected = inputs @ kernel + outer

        def body(carried: Any, at: Any) -> Any:
            new = step(carried, at, recurrent, inner)
            return new, new[0]

        if job.time == 1:
            final = step(states, projected[:, 0], recurrent, inner)
            return final[0][:, None], final
        final, outputs = lax.scan(body, states, projected.transpose(1, 0, 2), unroll=2)
        return outputs.transpose(1, 0, 2), final

    return layer


class Contestant:
    """XLA on the CPU; its threads follow the affinity and flags of the process."""

    def __init__(self, threads: int) -> None:
        self.version = jax.__version__
        # A call that is waited for anyway need not go to another thread: that costs a third of a
        # step.
        jax.config.update("jax_cpu_enable_async_dispatch", False)

    def prepare(self, job: Job, data: Data) -> Prepared | None:
        """Every mode."""
        prepared: Prepared = getattr(self, job.mode)(job, data)
        return prepared

    def _states(self, job: Job) -> Any:
        return tuple(jnp.zeros((job.batch, job.units)) for _ in range(STATES[job.cell]))

    def _weights(self, data: Data) -> Weights:
        return tuple(jnp.asarray(w) for w in (data.kernel, data.recurrent_kernel, data.bias))

    def step(self, job: Job, data: Data) -> Prepared:
        """The state stays on JAX's side; its buffers are donated."""
        layer, weights, inputs = make_layer(job), self._weights(data), jnp.asarray(data.inputs)
        jitted = jax.jit(layer, donate_argnums=1)
        states = self._states(job)

        def run() -> Any:
            nonlocal states
            outputs, states = jitted(inputs, states, *weights)
            return outputs.block_until_ready()

        def check() -> list[Array]:
            nonlocal states
            states = self._states(job)
            return [np.stack([np.asarray(run())[0, 0] for _ in range(3)])]

        return Prepared(run, check)

    def call(self, job: Job, data: Data) -> Prepared:
        """All outputs from zero states."""
        layer, weights, states = make_layer(job), self._weights(data), self._states(job)
        jitted, inputs = jax.jit(lambda x, w: layer(x, states, *w)[0]), jnp.asarray(data.inputs)

        def run() -> Any:
            return jitted(inputs, weights).block_until_ready()

        return Prepared(run, lambda: [np.asarray(run())])

    def backprop(self, job: Job, data: Data) -> Prepared:
        """Outputs and the pullback of `d_outputs`, in one jitted function."""
        layer, weights, states = make_layer(job), self._weights(data), self._states(job)
        inputs, d_outputs = jnp.asarray(data.inputs), jnp.asarray(data.d_outputs)

        def both(x: Any, w: Weights) -> Any:
            outputs, pullback = jax.vjp(lambda x, w: layer(x, states, *w)[0], x, w)
            d_inputs, d_weights = pullback(d_outputs)
            return [outputs, d_inputs, *d_weights]

        jitted = jax.jit(both)

        def run() -> Any:
            return jax.block_until_ready(jitted(inputs, weights))

        return Prepared(run, lambda: [np.asarray(part) for part in run()])

    def train(self, job: Job, data: Data) -> Prepared:
        """`value_and_grad` and Adam in one jitted function, weights and slots donated."""
        layer, states = make_layer(job), self._states(job)
        inputs, targets = jnp.asarray(data.inputs), jnp.asarray(data.targets)

        def loss_of(weights: Weights) -> Any:
            outputs, _ = layer(inputs, states, *weights[:3])
            error = outputs[:, -1] @ weights[3] + weights[4] - targets
            return jnp.mean(error * error)

        def update(weights: Weights, m: Weights, v: Weights, t: Any) -> Any:
            loss, gradients = jax.value_and_grad(loss_of)(weights)
            rate = 1e-3 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
            m = tuple(a + (g - a) * 0.1 for a, g in zip(m, gradients, strict=True))
            v = tuple(a + (g * g - a) * 0.001 for a, g in zip(v, gradients, strict=True))
            moved = zip(weights, m, v, strict=True)
            return loss, tuple(w - rate * a / (jnp.sqrt(b) + 1e-7) for w, a, b in moved), m, v

        jitted = jax.jit(update, donate_argnums=(0, 1, 2))

        def fresh() -> list[Any]:
            first = (*self._weights(data), jnp.array(data.head_kernel), jnp.array(data.head_bias))
            copied = tuple(jnp.array(w, copy=True) for w in first)
            slots = [tuple(jnp.zeros_like(w) for w in first) for _ in range(2)]
            return [copied, *slots, 0]

        def one(kept: list[Any]) -> Any:
            kept[3] += 1
            loss, kept[0], kept[1], kept[2] = jitted(*kept[:3], float(kept[3]))
            jax.block_until_ready(kept[0])
            return loss

        timed = fresh()

        def check() -> list[Array]:
            checked = fresh()
            return [np.array([float(one(checked)) for _ in range(3)])]

        return Prepared(lambda: one(timed), check)
