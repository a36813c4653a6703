"""A tour of recurrent layers that was written for Keras: only the import differs."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import ferrnn as keras

ONE = np.array([[[3, 2, 2, 2, 2, 2]]])  # one sequence of one step with six features
TWO = np.array(
    [
        [[1, 2, 3, 4, 3, 2], [1, 2, 1, 1, 1, 2], [1, 2, 2, 2, 2, 2]],
        [[1, 2, 3, 4, 3, 2], [3, 2, 2, 1, 1, 2], [0, 0, 0, 0, 3, 2]],
    ]
)  # two sequences of three steps


def show(name: str, value: Any) -> None:
    """A name, the shape, the numbers."""
    print(f"{name}: shape {np.shape(value)}")
    print(np.array2string(np.asarray(value), precision=4, suppress_small=True))


def single_lstm() -> tuple[Any, Any, Any]:
    """An LSTM with its outputs and both states, its states set by hand before the first call."""
    lstm = keras.layers.LSTM(4, return_sequences=True, return_state=True)
    state = [np.zeros((1, 4)), np.zeros((1, 4))]
    lstm.states = state
    print("states before the call:", lstm.states)
    output, final_memory_state, final_carry_state = lstm(ONE)
    show("output", output)
    show("final_memory_state", final_memory_state)
    show("final_carry_state", final_carry_state)
    return output, final_memory_state, final_carry_state


def stacked_lstm() -> tuple[Any, Any, Any]:
    """Two LSTM cells, one above the other, in one layer: each gives a pair of states."""
    cells = [keras.layers.LSTMCell(4), keras.layers.LSTMCell(7)]
    stack = keras.layers.StackedRNNCells(cells)
    layer = keras.layers.RNN(stack, return_sequences=True, return_state=True)
    output, final_memory_state, final_carry_state = layer(TWO)
    show("output", output)
    show("states of the first cell", final_memory_state)
    show("states of the second cell", final_carry_state)
    return output, final_memory_state, final_carry_state


def single(kind: type[Any]) -> tuple[Any, Any]:
    """A layer with one state: GRU or SimpleRNN."""
    output, final_state = kind(4, return_sequences=True, return_state=True)(ONE)
    show("output", output)
    show("final_state", final_state)
    return output, final_state


def stacked(kind: type[Any]) -> tuple[Any, Any, Any]:
    """Two cells with one state each, one above the other."""
    stack = keras.layers.StackedRNNCells([kind(4), kind(7)])
    layer = keras.layers.RNN(stack, return_sequences=True, return_state=True)
    output, first_state, second_state = layer(TWO)
    show("output", output)
    show("state of the first cell", first_state)
    show("state of the second cell", second_state)
    return output, first_state, second_state


def main(arguments: Sequence[str] | None = None) -> dict[str, tuple[Any, ...]]:
    """Goes through all layers; returns what each returned."""
    argparse.ArgumentParser(description=__doc__).parse_args(arguments)
    keras.utils.set_random_seed(0)
    layers = keras.layers
    results: dict[str, tuple[Any, ...]] = {}
    tour: dict[str, Callable[[], tuple[Any, ...]]] = {
        "LSTM": single_lstm,
        "LSTM cells, stacked": stacked_lstm,
        "GRU": lambda: single(layers.GRU),
        "GRU cells, stacked": lambda: stacked(layers.GRUCell),
        "SimpleRNN": lambda: single(layers.SimpleRNN),
        "SimpleRNN cells, stacked": lambda: stacked(layers.SimpleRNNCell),
    }
    for title, stop in tour.items():
        print(f"\n{title}\n{'-' * len(title)}")
        results[title] = stop()
    return results


if __name__ == "__main__":
    main()
