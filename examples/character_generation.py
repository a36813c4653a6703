"""Writes like Jane Austen, one character after the other, after reading a third of a novel.

An embedding of characters, an LSTM and a softmax learn to give the next character of *Pride and
Prejudice* (chapters 1 to 23, see `data/pride_and_prejudice.md`); the last tenth of the text is held
out. The trained model then continues a line of the held-out text: a character is drawn from
the predicted probabilities, sharpened by a temperature, and is the next input.

The model reads windows of text; to write, it must take one character at a time and keep its states.
That is a second model with the same weights, `stateful=True` and a batch of one, as in Keras, or
`model.stream()`, which Keras does not have: the program writes with both, checks that the texts are
equal to the letter, and compares the times.

Prints the cost of a held-out character in bits, 1.92 after a minute on two cores of an AMD EPYC
(4.43 by the frequencies of characters alone), and texts at three temperatures. With `import keras`
in place of ferrnn the same program runs on Keras, and leaves out the stream.

    python examples/character_generation.py
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import ferrnn as keras
from ferrnn import layers

NOVEL = Path(__file__).parent / "data" / "pride_and_prejudice.txt"

Array = np.ndarray[Any, np.dtype[Any]]


class Characters:
    """The characters of a text, numbered."""

    def __init__(self, text: str) -> None:
        self.characters = sorted(set(text))
        self.index = {character: at for at, character in enumerate(self.characters)}

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, text: str) -> Array:
        """One number per character."""
        return np.array([self.index[character] for character in text])


def make_windows(ids: Array, window: int) -> tuple[Array, Array]:
    """Windows `[windows, window]` side by side, and for each character the one that follows."""
    count = (len(ids) - 1) // window
    x = ids[: count * window].reshape(count, window)
    y = ids[1 : count * window + 1].reshape(count, window)
    return x, y


def make_model(characters: int, units: int, batch: int | None = None) -> keras.Sequential:
    """`[batch, time]` in, `[batch, time, characters]` out; with a fixed batch, stateful."""
    return keras.Sequential(
        [
            keras.Input(batch_shape=(batch, None)),
            layers.Embedding(characters, 32),
            layers.LSTM(units, return_sequences=True, stateful=batch is not None),
            layers.Dropout(0.3),
            layers.Dense(characters, activation="softmax"),
        ]
    )


def sample(probabilities: Array, temperature: float, rng: np.random.Generator) -> int:
    """A character drawn from `p^(1 / temperature)`: below 1 likely ones get likelier."""
    logits = np.log(probabilities.astype("float64") + 1e-12) / temperature
    cumulated = np.cumsum(np.exp(logits - logits.max()))
    return int(np.searchsorted(cumulated, rng.random() * cumulated[-1], side="right"))


def write(
    step: Callable[[int], Array], seed: Array, length: int, temperature: float, random: int
) -> list[int]:
    """Reads the seed, then writes; `step` takes a character and gives the next one's chances."""
    rng = np.random.default_rng(random)
    for character in seed:
        chances = step(int(character))
    written = []
    for _ in range(length):
        written.append(sample(chances, temperature, rng))
        chances = step(written[-1])
    return written


def stateful_step(model: keras.Sequential, units: int) -> Callable[[int], Array]:
    """One step of a stateful copy of the model, from zero states on."""
    copy = make_model(model.output_shape[-1], units, batch=1)
    copy.set_weights(model.get_weights())
    return lambda character: np.asarray(copy(np.array([[character]])))[0, 0]


class ShowText(keras.callbacks.Callback):
    """After some epochs, a line as the model would write it."""

    def __init__(self, seed: str, characters: Characters, units: int, every: int) -> None:
        super().__init__()
        self.seed, self.characters, self.units, self.every = seed, characters, units, every

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if (epoch + 1) % self.every == 0:
            step = stateful_step(self.model, self.units)
            text = write(step, self.characters.encode(self.seed), 60, 0.5, 0)
            line = "".join(self.characters.characters[at] for at in text)
            print(f"  writes: {line!r}")


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Trains and writes; returns the bits per character and the texts by temperature."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--characters", type=int, default=None, help="read so many, not all")
    parser.add_argument("--units", type=int, default=256)
    parser.add_argument("--window", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--length", type=int, default=400, help="of the texts to write")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)

    keras.utils.set_random_seed(options.seed)
    text = NOVEL.read_text(encoding="utf-8")[: options.characters]
    characters = Characters(text)
    split = len(text) - len(text) // 10
    ids = characters.encode(text)
    shares = np.bincount(ids[:split], minlength=len(characters)) / split
    start = text.index("\n\n", split) + 2  # a paragraph that was not trained on
    seed = text[start : start + 60]

    model = make_model(len(characters), options.units)
    model.compile(keras.optimizers.Adam(learning_rate=4e-3), "sparse_categorical_crossentropy")
    model.summary()
    history = model.fit(
        *make_windows(ids[:split], options.window),
        batch_size=32,
        epochs=options.epochs,
        validation_data=make_windows(ids[split:], options.window),
        callbacks=[ShowText(seed, characters, options.units, every=5)],
        verbose=2,
    )
    bits = {
        "model": history.history["val_loss"][-1] / np.log(2),
        "frequencies": float(-np.mean(np.log2(shares[ids[split:]] + 1e-9))),
    }
    print("\nA held-out character costs, in bits:")
    for name, value in bits.items():
        print(f"  {name:12} {value:.2f}")

    makers = {"stateful model": lambda: stateful_step(model, options.units)}
    if hasattr(model, "stream"):  # Keras has none
        makers["stream"] = model.stream
    texts: dict[float, str] = {}
    seconds = dict.fromkeys(makers, 0.0)
    for temperature in (0.2, 0.5, 1.0):
        for name, make in makers.items():
            step = make()
            begin = time.perf_counter()
            prompt = ids[start : start + len(seed)]
            written = write(step, prompt, options.length, temperature, options.seed)
            seconds[name] += time.perf_counter() - begin
            found = "".join(characters.characters[at] for at in written)
            if texts.setdefault(temperature, found) != found:
                raise RuntimeError(f"the {name} writes another text")
        print(f"\nTemperature {temperature}:\n{seed}|{texts[temperature]}")
    print()
    for name, spent in seconds.items():
        each = spent / (len(texts) * (len(seed) + options.length))
        print(f"A character took the {name} {1e6 * each:.0f} µs, drawing it included.")
    return {"bits": bits, "texts": texts}


if __name__ == "__main__":
    main()
