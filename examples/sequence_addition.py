"""Learns to add two numbers that are written as text: "37+125" in, "162" out, digit by digit.

The classic first example of sequence to sequence learning. One LSTM reads the question, a
character a step, and only its last output is kept; `RepeatVector` hands that to a
second LSTM once for each character of the answer. The question is read backwards, so that the
digits that decide the last digit of the answer, and the first carry, come first.

Prints, every few epochs, some sums that the network is not trained on, with its answers and whether
they are right; at the end the share of such sums that are answered without a single wrong digit:
100.0% after a minute on two cores of an AMD EPYC. With `import keras` in place of ferrnn the same
program runs on Keras.

    python examples/sequence_addition.py
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np

import ferrnn as keras
from ferrnn import layers

CHARACTERS = "0123456789+ "
RIGHT, WRONG = "☑", "☒"

Array = np.ndarray[Any, np.dtype[Any]]


class CharacterTable:
    """Text to rows of ones and zeros, one row a character, and back."""

    def __init__(self, characters: str) -> None:
        self.characters = characters
        self.index = {character: at for at, character in enumerate(characters)}

    def encode(self, texts: Sequence[str]) -> Array:
        """`[texts, length, characters]`; all texts are of one length."""
        indices = [[self.index[character] for character in text] for text in texts]
        return np.eye(len(self.characters), dtype="float32")[np.array(indices)]

    def decode(self, rows: Array) -> list[str]:
        """The likeliest text for each `[length, characters]`."""
        return ["".join(self.characters[at] for at in row) for row in rows.argmax(axis=-1)]


def make_sums(count: int, digits: int, seed: int) -> tuple[list[str], list[str]]:
    """Different questions and their answers, padded with blanks to one length.

    The number of digits of each operand is drawn first, so that short ones are not rare; `3+45` and
    `45+3` count as one question, of which only one form is kept.
    """
    rng = np.random.default_rng(seed)
    sums: dict[tuple[int, int], None] = {}
    while len(sums) < count:
        a, b = (int(rng.integers(10 ** int(rng.integers(1, digits + 1)))) for _ in "ab")
        if (b, a) not in sums:
            sums[a, b] = None
    questions = [f"{a}+{b}".ljust(2 * digits + 1) for a, b in sums]
    return questions, [str(a + b).ljust(digits + 1) for a, b in sums]


def make_model(digits: int, units: int) -> keras.Sequential:
    """`[batch, 2 digits + 1, characters]` in, `[batch, digits + 1, characters]` out."""
    model = keras.Sequential(
        [
            keras.Input((2 * digits + 1, len(CHARACTERS))),
            layers.LSTM(units),
            layers.RepeatVector(digits + 1),
            layers.LSTM(units, return_sequences=True),
            layers.Dense(len(CHARACTERS), activation="softmax"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(learning_rate=3e-3), "categorical_crossentropy", metrics=["accuracy"]
    )
    return model


class ShowSums(keras.callbacks.Callback):
    """Every few epochs, the network's answers to ten sums it is not trained on."""

    def __init__(self, x: Array, questions: list[str], answers: list[str], every: int) -> None:
        super().__init__()
        self.x, self.questions, self.answers, self.every = x, questions, answers, every
        self.table = CharacterTable(CHARACTERS)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if (epoch + 1) % self.every:
            return
        logs = logs or {}
        print(
            f"\nEpoch {epoch + 1}: loss {logs['loss']:.4f}, right digits "
            f"{logs['accuracy']:.1%}, of unseen sums {logs['val_accuracy']:.1%}"
        )
        chosen = np.random.default_rng(epoch).choice(len(self.x), size=10, replace=False)
        guesses = self.table.decode(self.model.predict(self.x[chosen], verbose=0))
        for at, guess in zip(chosen, guesses, strict=True):
            mark = RIGHT if guess == self.answers[at] else WRONG
            print(f"  {self.questions[at]} = {self.answers[at]} {mark} {guess}")


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Trains, and returns the share of unseen sums that are answered entirely right."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--digits", type=int, default=3, help="of each operand, at most")
    parser.add_argument("--samples", type=int, default=50000)
    parser.add_argument("--units", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--every", type=int, default=5, help="show sums every so many epochs")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)

    keras.utils.set_random_seed(options.seed)
    table = CharacterTable(CHARACTERS)
    questions, answers = make_sums(options.samples, options.digits, options.seed)
    x = table.encode([question[::-1] for question in questions])  # read backwards
    y = table.encode(answers)
    split = len(x) - len(x) // 10
    unseen = x[split:], questions[split:], answers[split:]

    model = make_model(options.digits, options.units)
    model.summary()
    history = model.fit(
        x[:split],
        y[:split],
        batch_size=options.batch,
        epochs=options.epochs,
        validation_data=(x[split:], y[split:]),
        callbacks=[ShowSums(*unseen, every=options.every)],
        verbose=0,
    )
    guesses = table.decode(model.predict(unseen[0], verbose=0))
    right = float(np.mean([a == b for a, b in zip(guesses, unseen[2], strict=True)]))
    print(f"\n{right:.1%} of {len(guesses)} sums not seen in training are answered right.")
    return {"right": right, "digits": history.history["val_accuracy"][-1]}


if __name__ == "__main__":
    main()
