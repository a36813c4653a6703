"""A cell of one's own with nested states: it remembers what it was told to remember.

Symbols pass by, one of them marked; at the end the marked one has to be named. The cell keeps two
things beside its output: a running summary, and a memory of a few slots that it writes to at the
mark and reads at every step. It is written in plain `keras.ops`: no backward pass, the tracer finds
the gradients. With `import keras` in place of ferrnn the same program runs on Keras.

    python examples/nested_memory.py
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np

import ferrnn as keras
from ferrnn import ops

SYMBOLS, TIME = 6, 10


class MemoryCell(keras.layers.Layer):
    """`[output, [summary, memory]]` are the states; the memory is `[batch, slots, units]`."""

    def __init__(self, units: int, slots: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units, self.slots = units, slots
        self.state_size = [units, [units, (slots, units)]]
        self.output_size = units
        self.reader = keras.layers.GRUCell(units)
        self.attention = keras.layers.Dense(slots, activation="softmax")
        self.write_gate = keras.layers.Dense(1, activation="sigmoid")

    def build(self, input_shape: Any) -> None:
        self.reader.build((input_shape[0], input_shape[-1] + self.units))
        self.attention.build((input_shape[0], self.units))
        self.write_gate.build(input_shape)
        self.content = self.add_weight((input_shape[-1], self.units), name="content")

    def get_initial_state(self, batch_size: int | None = None) -> Any:
        zeros = ops.zeros((batch_size, self.units))
        return [zeros, [zeros, ops.zeros((batch_size, self.slots, self.units))]]

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        h, (summary, memory) = states
        where = self.attention(h)
        read = ops.einsum("bs,bsu->bu", where, memory)
        h, _ = self.reader(ops.concatenate([inputs, read], axis=-1), [h])
        summary = 0.8 * summary + 0.2 * h
        # Each slot moves towards the content of this step, as far as both gates are open.
        opened = self.write_gate(inputs)[:, :, None] * where[:, :, None]
        content = ops.matmul(inputs, self.content)[:, None, :]
        memory = memory + opened * (content - memory)
        return h + summary + read, [h, [summary, memory]]


def draw(samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Sequences `[samples, TIME, SYMBOLS + 1]`, the mark as last feature; and marked symbols."""
    rng = np.random.default_rng(seed)
    symbols = rng.integers(0, SYMBOLS, size=(samples, TIME))
    marked = rng.integers(0, TIME, size=samples)
    x = np.zeros((samples, TIME, SYMBOLS + 1), "float32")
    x[..., :SYMBOLS] = np.eye(SYMBOLS, dtype="float32")[symbols]
    x[np.arange(samples), marked, SYMBOLS] = 1
    return x, symbols[np.arange(samples), marked]


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Trains the memory, and says how often it names the marked symbol."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--samples", type=int, default=1024)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)

    keras.utils.set_random_seed(options.seed)
    x, y = draw(options.samples, options.seed)
    model = keras.Sequential(
        [
            keras.Input((TIME, SYMBOLS + 1)),
            keras.layers.RNN(MemoryCell(16)),
            keras.layers.Dense(SYMBOLS, activation="softmax"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    model.summary()
    history = model.fit(x, y, batch_size=64, epochs=options.epochs, verbose=2)
    accuracy = model.evaluate(*draw(512, options.seed + 1), verbose=0, return_dict=True)["accuracy"]
    print(f"Guessing is right in {1 / SYMBOLS:.0%} of new sequences, the memory in {accuracy:.0%}.")
    return {"accuracy": accuracy, "first": history.history["accuracy"][0]}


if __name__ == "__main__":
    main()
