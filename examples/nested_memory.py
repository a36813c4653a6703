"""A custom cell with nested inputs and states: it remembers what it is told to remember.

Symbols pass by, one of them marked; at the end the cell has to name the marked one. Symbols and
marks are two series, given as a dict: each step of the cell gets a dict as well. The cell keeps two
things beside its output: a running summary, and a memory of a few slots that it writes to at the
mark and reads at every step. It is written in plain `keras.ops`: no backward pass, the tracer finds
the gradients. Prints how often the marked symbol is named in new sequences, beside guessing.

(Nested states run on Keras 3 as well. Nested inputs worked in Keras 2 and work here; in Keras 3 the
cell of its own guide fails, https://github.com/keras-team/keras-io/issues/2142.)

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
    """Inputs `{"symbol": [batch, symbols], "mark": [batch, 1]}`, outputs `[batch, units]`.

    The states are `[output, [summary, memory]]`, the memory `[batch, slots, units]`.
    """

    def __init__(self, units: int, slots: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units, self.slots = units, slots
        self.state_size = [units, [units, (slots, units)]]
        self.output_size = units
        self.reader = keras.layers.GRUCell(units)
        self.attention = keras.layers.Dense(slots, activation="softmax")
        self.write_gate = keras.layers.Dense(1, activation="sigmoid")

    def build(self, input_shape: Any) -> None:
        batch, symbols = input_shape["symbol"]
        self.reader.build((batch, symbols + 1 + self.units))
        self.attention.build((batch, self.units))
        self.write_gate.build(input_shape["mark"])
        self.content = self.add_weight(shape=(symbols, self.units), name="content")

    def get_initial_state(self, batch_size: int | None = None) -> Any:
        zeros = ops.zeros((batch_size, self.units))
        return [zeros, [zeros, ops.zeros((batch_size, self.slots, self.units))]]

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        symbol, mark = inputs["symbol"], inputs["mark"]
        h, (summary, memory) = states
        where = self.attention(h)
        read = ops.einsum("bs,bsu->bu", where, memory)
        h, _ = self.reader(ops.concatenate([symbol, mark, read], axis=-1), [h])
        summary = 0.8 * summary + 0.2 * h
        # Each slot moves towards the content of this step, as far as both gates are open.
        opened = self.write_gate(mark)[:, :, None] * where[:, :, None]
        content = ops.matmul(symbol, self.content)[:, None, :]
        memory = memory + opened * (content - memory)
        return h + summary + read, [h, [summary, memory]]


def draw(samples: int, seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Symbols `[samples, TIME, SYMBOLS]` with marks `[samples, TIME, 1]`; and marked symbols."""
    rng = np.random.default_rng(seed)
    symbols = rng.integers(0, SYMBOLS, size=(samples, TIME))
    marked = rng.integers(0, TIME, size=samples)
    marks = np.zeros((samples, TIME, 1), "float32")
    marks[np.arange(samples), marked] = 1
    shown = np.eye(SYMBOLS, dtype="float32")[symbols]
    return {"symbol": shown, "mark": marks}, symbols[np.arange(samples), marked]


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Trains the memory, and says how often it names the marked symbol."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--samples", type=int, default=1024)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)

    keras.utils.set_random_seed(options.seed)
    x, y = draw(options.samples, options.seed)
    inputs = {
        "symbol": keras.Input((TIME, SYMBOLS), name="symbol"),
        "mark": keras.Input((TIME, 1), name="mark"),
    }
    remembered = keras.layers.RNN(MemoryCell(16))(inputs)
    model = keras.Model(inputs, keras.layers.Dense(SYMBOLS, activation="softmax")(remembered))
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
